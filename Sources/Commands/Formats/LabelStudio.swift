import Contracts
import Ledger
import Wire

/// A task of a Label Studio export, as far as it is read.
private struct StudioTask: Decodable {
    struct Annotation: Decodable {
        let id: Int64?
        let completed_by: Person?
        let was_cancelled: Bool?
        let result: [Result]
    }
    struct Result: Decodable {
        let type: String?
        let from_name: String?
        let original_width: WholeNumber?
        let original_height: WholeNumber?
        let image_rotation: Double?
        let value: Value?
    }
    struct Value: Decodable {
        let choices: [String]?
        let rating: Double?
        let number: Double?
        let x: Double?
        let y: Double?
        let width: Double?
        let height: Double?
        let rotation: Double?
        let rectanglelabels: [String]?
        let brushlabels: [String]?
        let format: String?
        let rle: [WholeNumber]?
    }
    /// Who completed an annotation: a number, or an object with one and an address.
    struct Person: Decodable {
        let names: [String]

        private enum Key: CodingKey { case id, email }

        init(from decoder: any Decoder) throws {
            if let number = try? decoder.singleValueContainer().decode(Int64.self) {
                names = ["\(number)"]
            } else if let name = try? decoder.singleValueContainer().decode(String.self) {
                names = [name]
            } else {
                let container = try decoder.container(keyedBy: Key.self)
                let email = try container.decodeIfPresent(String.self, forKey: .email)
                names =
                    ["\(try container.decode(Int64.self, forKey: .id))"]
                    + [email].compactMap(\.self)
            }
        }
    }
    /// A value of a task's data; only texts are of use.
    struct Datum: Decodable {
        let text: String?

        init(from decoder: any Decoder) throws {
            text = try? decoder.singleValueContainer().decode(String.self)
        }
    }
    let id: Int64?
    let data: [String: Datum]
    let annotations: [Annotation]
}

extension StudioTask.Result {
    /// Whether it says something of the whole image, and so is no region.
    fileprivate var isUndrawn: Bool {
        [
            "choices", "rating", "number", "textarea", "datetime", "taxonomy", "pairwise",
            "ranker", "relation",
        ].contains(type)
    }
}

/// Reads a Label Studio export (JSON): choices, rating, number, rectangles or brush, whichever the
/// study asks for.
///
/// A cancelled annotation of the reader is refused: whether it stands for an answer nobody can tell
/// from the file. One without regions says that there is nothing on the image, but not how large that is.
func readLabelStudio(_ bytes: [UInt8], _ source: AnswerSource) throws -> [AnswerRow] {
    let tasks = try readJSON([StudioTask].self, bytes, file: source.file)
    try checkPeople(tasks, source)
    try checkResults(tasks, source)
    return try tasks.enumerated().compactMap { place, task in
        let own = task.ownAnnotations(source)
        guard let (number, annotation) = own.first.map({ ($0.offset, $0.element) }) else {
            return nil
        }
        guard own.count == 1 else {
            throw source.fault(
                "[\(place)]", "has \(own.count) annotations of the same annotator; keep one")
        }
        let spot = "[\(place)].annotations[\(number)]"
        let (name, isItem) = try name(of: task, source, "[\(place)]")
        return AnswerRow(
            place: "\(source.file), \(spot)", name: name, isItem: isItem,
            answer: try StudioReader(source: source, place: spot).answer(annotation))
    }
}

/// Refuses a file from which nobody can tell whose annotations are meant.
private func checkPeople(_ tasks: [StudioTask], _ source: AnswerSource) throws {
    let people = tasks.flatMap(\.annotations).map { $0.completed_by?.names ?? ["nobody"] }
    let names = Set(people.map { $0[0] }).sorted().joined(separator: ", ")
    func fault(_ reason: String) -> InputFault {
        InputFault(file: source.file, line: nil, reason: reason)
    }
    guard let annotator = source.annotator else {
        guard Set(people.map { $0[0] }).count < 2 else {
            throw fault(
                "holds annotations of \(names); say with --annotator which of them are yours")
        }
        return
    }
    guard people.isEmpty || people.contains(where: { $0.contains(annotator) }) else {
        throw fault("holds no annotations of \(annotator), but of \(names)")
    }
}

/// Refuses annotations of the reader that were cancelled, a question that none of them answers, and
/// masks of several things.
private func checkResults(_ tasks: [StudioTask], _ source: AnswerSource) throws {
    var controls: Set<String> = []
    var drawn: (name: String, place: String, control: String?)?
    for (place, task) in tasks.enumerated() {
        for (number, annotation) in task.ownAnnotations(source) {
            let spot = "[\(place)].annotations[\(number)]"
            guard annotation.was_cancelled != true else {
                throw source.fault(
                    spot,
                    "the annotation was cancelled; export without skipped annotations, or delete "
                        + "it from the file")
            }
            controls.formUnion(annotation.result.compactMap(\.from_name))
            guard source.rule.kind == .masks, source.rule.labels.isEmpty else { continue }
            for result in annotation.result where source.isMeant(result) {
                for name in result.value?.brushlabels ?? [] {
                    if let drawn, drawn.name != name {
                        let isOther = drawn.control != result.from_name
                        throw source.fault(
                            spot,
                            "a mask of \"\(name)\", and one of \(drawn.place) is of "
                                + "\"\(drawn.name)\"; "
                                + (isOther
                                    ? "say with --control which question is meant"
                                    : AnswerSource.oneThing))
                    }
                    drawn = drawn ?? (name, spot, result.from_name)
                }
            }
        }
    }
    guard let control = source.control, !controls.isEmpty, !controls.contains(control) else {
        return
    }
    throw InputFault(
        file: source.file, line: nil,
        reason: "answers no question \(control), but "
            + controls.sorted().joined(separator: " and "))
}

extension StudioTask {
    /// The annotations that were asked for, with their places.
    fileprivate func ownAnnotations(
        _ source: AnswerSource
    ) -> [(offset: Int, element: Annotation)] {
        annotations.enumerated().filter { _, annotation in
            source.annotator.map { annotation.completed_by?.names.contains($0) ?? false } ?? true
        }
    }
}

extension AnswerSource {
    /// Whether a result is of the question that was asked for.
    fileprivate func isMeant(_ result: StudioTask.Result) -> Bool {
        control.map { $0 == result.from_name } ?? true
    }
}

/// What a task calls its item: `item`, else `image`, else its only text.
private func name(
    of task: StudioTask, _ source: AnswerSource, _ place: String
) throws -> (name: String, isItem: Bool) {
    if let item = task.data["item"]?.text { return (item, true) }
    if let image = task.data["image"]?.text { return (image, false) }
    let texts = task.data.values.compactMap(\.text)
    guard texts.count == 1 else {
        throw source.fault("\(place).data", "names no item and no image")
    }
    return (texts[0], false)
}

private struct StudioReader {
    let source: AnswerSource
    let place: String

    func answer(_ annotation: StudioTask.Annotation) throws -> Answer? {
        switch source.rule.kind {
        case .class: return try choice(annotation)
        case .ordinal:
            return try results(annotation, "rating").isEmpty
                ? choice(annotation) : rating(annotation)
        case .measurement:
            guard let number = try single(annotation, "number").value?.number else {
                throw fault("its number is missing")
            }
            guard abs(number * 1000) < 0x1p53 else {
                throw fault(
                    "its number is beyond ±9007199254740.991, from where on Label Studio's numbers "
                        + "are not exact; hand in a table item,answer")
            }
            guard let value = thousandths(exactly: number) else {
                throw fault("its number has more than three decimals")
            }
            return .measurement(value)
        case .boxes: return try boxes(annotation)
        case .masks: return try masks(annotation)
        }
    }

    private func fault(_ reason: String) -> InputFault { source.fault(place, reason) }

    private func results(
        _ annotation: StudioTask.Annotation, _ type: String
    ) throws -> [StudioTask.Result] {
        let meant = annotation.result.filter(source.isMeant)
        if source.rule.kind.isImage,
            let other = meant.first(where: { $0.type != type && !$0.isUndrawn })
        {
            throw fault(
                "a region of type \(other.type ?? "unknown"); \(source.rule.kind.rawValue) of this "
                    + "study are \(type)")
        }
        let found = meant.filter { $0.type == type }
        let controls = Set(found.compactMap(\.from_name))
        guard controls.count < 2 else {
            throw fault(
                "answers " + controls.sorted().joined(separator: " and ")
                    + "; say with --control which of them is meant")
        }
        return found
    }

    private func single(
        _ annotation: StudioTask.Annotation, _ type: String
    ) throws -> StudioTask.Result {
        let found = try results(annotation, type)
        guard found.count == 1, let result = found.first else {
            throw fault("has \(found.count) results of type \(type) instead of 1")
        }
        return result
    }

    private func choice(_ annotation: StudioTask.Annotation) throws -> Answer {
        let choices = try single(annotation, "choices").value?.choices ?? []
        guard choices.count == 1 else {
            throw fault("chooses \(choices.count) classes; the study takes one")
        }
        guard let grade = source.grade(choices[0]) else {
            throw fault("the class \"\(choices[0])\" is not of this study: \(source.classes)")
        }
        return .grade(grade)
    }

    private func rating(_ annotation: StudioTask.Annotation) throws -> Answer {
        let value = try single(annotation, "rating").value?.rating
        guard let value, let grade = UInt32(exactly: value),
            (1...max(1, source.rule.classes)).contains(grade)
        else {
            throw fault(
                "a rating of \(value.map { "\($0)" } ?? "nothing"); it must be a whole number from "
                    + "1 to \(source.rule.classes)")
        }
        return .grade(grade)
    }

    private func size(_ result: StudioTask.Result) throws -> ImageSize {
        guard let width = result.original_width.flatMap({ UInt32(exactly: $0.value) }),
            let height = result.original_height.flatMap({ UInt32(exactly: $0.value) }),
            let size = ImageSize(width: width, height: height)
        else {
            throw fault(
                "original_width and original_height must be 1 to \(ImageSize.longestSide)")
        }
        return size
    }

    /// The one size that all results state, of an image as it is.
    private func size(_ results: [StudioTask.Result]) throws -> ImageSize? {
        guard let first = results.first else { return nil }
        let size = try size(first)
        for result in results {
            guard try self.size(result) == size else {
                throw fault("its results are about images of two sizes")
            }
            guard result.image_rotation ?? 0 == 0 else {
                throw fault(
                    "the image was rotated while it was read, by \(result.image_rotation ?? 0) "
                        + "degrees; annotate and export it unrotated")
            }
        }
        return size
    }

    private func label(_ names: [String]?) throws -> UInt32 {
        let names = names ?? []
        guard names.count == 1 else {
            throw fault("a region with \(names.count) labels instead of 1")
        }
        guard let label = source.grade(names[0]) else {
            throw fault("the class \"\(names[0])\" is not of this study: \(source.classes)")
        }
        return label
    }

    private func boxes(_ annotation: StudioTask.Annotation) throws -> Answer? {
        let results = try results(annotation, "rectanglelabels")
        guard let size = try size(results) else { return nil }
        var boxes: Set<Box> = []
        for result in results {
            guard let value = result.value, let x = value.x, let y = value.y,
                let width = value.width, let height = value.height
            else { throw fault("a rectangle without x, y, width and height") }
            guard value.rotation ?? 0 == 0 else {
                throw fault("a rotated rectangle; boxes of this study stand upright")
            }
            let (wide, high) = (Double(size.width) / 100, Double(size.height) / 100)
            let box = try source.box(
                label: try label(value.rectanglelabels), x: x * wide, y: y * high,
                width: width * wide, height: height * high, size, place)
            guard boxes.insert(box).inserted else { throw fault("the same box stands there twice") }
        }
        return try source.boxes(boxes, size, place)
    }

    private func masks(_ annotation: StudioTask.Annotation) throws -> Answer? {
        let results = try results(annotation, "brushlabels")
        guard let size = try size(results) else { return nil }
        let masks = try results.map { result in
            guard let value = result.value, value.format == "rle", let rle = value.rle else {
                throw fault("a brush without rle")
            }
            guard value.rotation ?? 0 == 0 else { throw fault("a rotated brush") }
            let only = source.rule.labels.isEmpty
            if !only { _ = try label(value.brushlabels) }
            let bytes = rle.compactMap { UInt8(exactly: $0.value) }
            guard bytes.count == rle.count else { throw fault("rle holds more than bytes") }
            do {
                return try source.mask(
                    counts: brushCounts(bytes, size: size), size, place)
            } catch let error as BrushFault {
                throw fault("its rle \(error.rawValue)")
            }
        }
        return try source.mask(masks, size, place)
    }
}
