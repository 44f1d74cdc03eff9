import Contracts
import Ledger
import Wire

/// A COCO file of one annotator, as far as it is read.
private struct COCOFile: Decodable {
    struct Image: Decodable {
        let id: Int64
        let file_name: String
        let width: WholeNumber
        let height: WholeNumber
    }
    struct Category: Decodable {
        let id: Int64
        let name: String
    }
    struct Annotation: Decodable {
        let id: Int64?
        let image_id: Int64
        let category_id: Int64
        let bbox: [Double]?
        let segmentation: Segmentation?
        let area: Double?
    }
    /// Run lengths; `polygons` stands for what is none.
    enum Segmentation: Decodable {
        case runs(size: [Int64], counts: [Int64])
        case packed(size: [Int64], counts: String)
        case polygons

        private enum Key: CodingKey { case size, counts }

        init(from decoder: any Decoder) throws {
            guard let container = try? decoder.container(keyedBy: Key.self) else {
                self = .polygons
                return
            }
            let size = try container.decode([Int64].self, forKey: .size)
            if let text = try? container.decode(String.self, forKey: .counts) {
                self = .packed(size: size, counts: text)
            } else {
                let counts = try container.decode([WholeNumber].self, forKey: .counts)
                self = .runs(size: size, counts: counts.map(\.value))
            }
        }
    }
    let images: [Image]
    let categories: [Category]
    let annotations: [Annotation]
}

/// Reads a COCO file: boxes from `bbox`, masks from either form of run lengths.
///
/// An image without annotations is an answer too: there is nothing on it. Several masks of one
/// image are joined into one, and so must all be of one category.
func readCOCO(_ bytes: [UInt8], _ source: AnswerSource) throws -> [AnswerRow] {
    guard source.rule.kind.isImage else {
        throw InputFault(
            file: source.file, line: nil,
            reason:
                "is one JSON object, as a COCO file, which holds boxes and masks; this study asks "
                + "for \(source.rule.kind.rawValue) answers: hand in a table item,answer or a Label "
                + "Studio export, which is a list")
    }
    try source.refuse("--annotator", source.annotator, "a COCO file of one annotator")
    try source.refuse("--control", source.control, "a COCO file")
    let coco = try readJSON(COCOFile.self, bytes, file: source.file)
    var reader = try COCOReader(coco, source)
    for (place, annotation) in coco.annotations.enumerated() {
        try reader.add(annotation, "annotations[\(place)]")
    }
    return try coco.images.enumerated().map { place, image in
        AnswerRow(
            place: "\(source.file), images[\(place)]", name: image.file_name, isItem: false,
            answer: try reader.answer(image.id, "images[\(place)]"))
    }
}

private struct COCOReader {
    private let source: AnswerSource
    private var sizes: [Int64: ImageSize] = [:]
    private var labels: [Int64: UInt32] = [:]
    private var boxes: [Int64: Set<Box>] = [:]
    private var masks: [Int64: [RunMask]] = [:]
    private var names: [Int64: String] = [:]
    /// What the masks are of, by the first of them.
    private var drawn: (name: String, place: String)?

    init(_ coco: COCOFile, _ source: AnswerSource) throws {
        self.source = source
        for (place, image) in coco.images.enumerated() {
            let size = try imageSize(image.width.value, image.height.value, "images[\(place)]")
            guard sizes.updateValue(size, forKey: image.id) == nil else {
                throw source.fault("images[\(place)]", "its id \(image.id) stands there twice")
            }
        }
        for (place, category) in coco.categories.enumerated() {
            let name = source.rule.labels.isEmpty ? "\(category.id)" : category.name
            let isOnly = source.rule.labels.isEmpty && source.rule.kind == .masks
            guard let label = isOnly ? 1 : source.grade(name) else {
                throw source.fault(
                    "categories[\(place)]",
                    "the class \"\(name)\" is not of this study, which has \(source.classes)")
            }
            labels[category.id] = label
            names[category.id] = category.name
        }
    }

    private func imageSize(_ width: Int64, _ height: Int64, _ place: String) throws -> ImageSize {
        guard let wide = UInt32(exactly: width), let high = UInt32(exactly: height),
            let size = ImageSize(width: wide, height: high)
        else {
            throw source.fault(
                place,
                "an image of \(width)×\(height) pixels; sides must be 1 to "
                    + "\(ImageSize.longestSide)")
        }
        return size
    }

    mutating func add(_ annotation: COCOFile.Annotation, _ place: String) throws {
        guard let size = sizes[annotation.image_id] else {
            throw source.fault(place, "there is no image \(annotation.image_id)")
        }
        guard let label = labels[annotation.category_id] else {
            throw source.fault(place, "there is no category \(annotation.category_id)")
        }
        if source.rule.kind == .boxes {
            let box = try box(annotation.bbox, label, size, place)
            guard boxes[annotation.image_id, default: []].insert(box).inserted else {
                throw source.fault(place, "the same box stands there twice")
            }
        } else {
            let name = names[annotation.category_id] ?? "\(annotation.category_id)"
            if let drawn, drawn.name != name {
                throw source.fault(
                    place,
                    "a mask of \"\(name)\", and that of \(drawn.place) is of \"\(drawn.name)\"; "
                        + AnswerSource.oneThing)
            }
            drawn = drawn ?? (name, place)
            let mask = try mask(annotation.segmentation, size, place)
            if let area = annotation.area, area != Double(mask.area) {
                throw source.fault(place, "its area is \(area), but its runs hold \(mask.area)")
            }
            masks[annotation.image_id, default: []].append(mask)
        }
    }

    func answer(_ image: Int64, _ place: String) throws -> Answer {
        guard let size = sizes[image] else { throw source.fault(place, "there is no such image") }
        if source.rule.kind == .boxes {
            return try source.boxes(boxes[image] ?? [], size, place)
        }
        return try source.mask(masks[image] ?? [], size, place)
    }

    private func box(
        _ values: [Double]?, _ label: UInt32, _ size: ImageSize, _ place: String
    ) throws -> Box {
        guard let values else { throw source.fault(place, "bbox is missing") }
        guard values.count == 4 else {
            throw source.fault(place, "bbox has \(values.count) numbers instead of 4")
        }
        return try source.box(
            label: label, x: values[0], y: values[1], width: values[2], height: values[3], size,
            place)
    }

    private func mask(
        _ segmentation: COCOFile.Segmentation?, _ size: ImageSize, _ place: String
    ) throws -> RunMask {
        let (stated, counts): ([Int64], [Int64])
        switch segmentation {
        case nil: throw source.fault(place, "segmentation is missing")
        case .polygons:
            throw source.fault(
                place, "segmentation is polygons; this study takes run lengths (size and counts)")
        case .runs(let own, let list): (stated, counts) = (own, list)
        case .packed(let own, let text):
            guard let list = unpackedCounts(text) else {
                throw source.fault(place, "counts is no packed run length")
            }
            (stated, counts) = (own, list)
        }
        guard stated == [Int64(size.height), Int64(size.width)] else {
            throw source.fault(
                place,
                "a mask of size \(stated) on an image of height \(size.height) and width "
                    + "\(size.width)")
        }
        return try source.mask(counts: counts, size, place)
    }
}

/// COCO's packed run lengths: five bits a character, from the third on the difference to the run
/// two before.
///
/// - Returns: nil for a character or a number that the form does not have.
func unpackedCounts(_ text: String) -> [Int64]? {
    var counts: [Int64] = []
    var (value, shift) = (Int64(0), Int64(0))
    for byte in text.utf8 {
        let digit = Int64(byte) - 48
        guard (0..<64).contains(digit), shift < 40 else { return nil }
        value |= (digit & 0x1F) << shift
        shift += 5
        guard digit & 0x20 == 0 else { continue }
        if digit & 0x10 != 0 { value |= -1 << shift }
        if counts.count > 2 { value += counts[counts.count - 2] }
        guard abs(value) < 1 << 40 else { return nil }
        counts.append(value)
        (value, shift) = (0, 0)
    }
    return shift == 0 ? counts : nil
}

extension AnswerSource {
    /// What to do about masks of several classes, of which the union would be an answer to nothing.
    static let oneThing =
        "this study asks for masks of one thing: leave the others' annotations out of the file, or "
        + "have the agreement name the label"

    /// A box of an image, given by its corner and its sides in pixels.
    func box(
        label: UInt32, x: Double, y: Double, width: Double, height: Double, _ size: ImageSize,
        _ place: String
    ) throws -> Box {
        guard width > 0, height > 0 else {
            throw fault(place, "a box of \(width) by \(height); sides must be above 0")
        }
        guard let left = edge(x, side: size.width), let right = edge(x + width, side: size.width),
            let top = edge(y, side: size.height), let bottom = edge(y + height, side: size.height)
        else {
            throw fault(
                place,
                "a box from \(x), \(y), \(width) by \(height), that leaves the image of "
                    + "\(size.width)×\(size.height) pixels")
        }
        guard left < right, top < bottom else {
            throw fault(place, "a box narrower than a thousandth of a pixel")
        }
        return Box(label: label, left: left, top: top, right: right, bottom: bottom)
    }

    func boxes(_ boxes: Set<Box>, _ size: ImageSize, _ place: String) throws -> Answer {
        guard let set = BoxSet(size: size, boxes: boxes.sorted()) else {
            throw fault(place, "has \(boxes.count) boxes; there may be \(BoxSet.mostBoxes)")
        }
        return .boxes(set)
    }

    /// A mask of an image from run lengths, outside first.
    func mask(counts: [Int64], _ size: ImageSize, _ place: String) throws -> RunMask {
        if let negative = counts.first(where: { $0 < 0 }) {
            throw fault(place, "a run of \(negative) pixels")
        }
        let runs = counts.compactMap { UInt32(exactly: $0) }
        let sum = runs.reduce(UInt64(0)) { $0 + UInt64($1) }
        guard runs.count == counts.count, sum == UInt64(size.pixels) else {
            throw fault(
                place,
                "its runs hold \(runs.count == counts.count ? "\(sum)" : "more than 2^32") pixels, "
                    + "the image \(size.pixels)")
        }
        guard let mask = RunMask(size: size, joining: runs) else {
            throw fault(place, "has more than \(RunMask.mostRuns) runs")
        }
        return mask
    }

    /// All masks of one image together; none of them is an empty mask.
    func mask(_ masks: [RunMask], _ size: ImageSize, _ place: String) throws -> Answer {
        let mask = masks.isEmpty ? RunMask(size: size, runs: [size.pixels]) : RunMask.union(masks)
        guard let mask, mask.runs.count <= RunMask.mostRuns else {
            throw fault(place, "has more than \(RunMask.mostRuns) runs")
        }
        return .mask(mask)
    }
}
