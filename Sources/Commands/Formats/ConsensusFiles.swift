import Contracts
import Ledger
package import Node
package import Wire

/// The consensus as a table: `item,answer`; of boxes a row each, with nothing beside the image's
/// sides where there is none, of masks their run lengths.
package func consensusTable(_ entries: [ConsensusEntry], _ rule: WireAnnotationRule) -> [UInt8] {
    let columns =
        switch rule.kind {
        case .class, .ordinal, .measurement: ["item", "answer"]
        case .boxes: boxColumns
        case .masks: maskColumns
        }
    let rows = entries.flatMap { entry -> [[String]] in
        func image(_ size: ImageSize) -> [String] {
            [entry.item.text, "\(size.width)", "\(size.height)"]
        }
        switch entry.answer {
        case .grade, .measurement: return [[entry.item.text, answerText(entry.answer, rule)]]
        case .boxes(let set):
            let none = boxColumns.dropFirst(3).map { _ in "" }
            guard !set.boxes.isEmpty else { return [image(set.size) + none] }
            return set.boxes.map { box in
                image(set.size) + [answerText(.grade(box.label), rule)]
                    + [box.left, box.top, box.right, box.bottom]
                    .map { decimalText(thousandths: Int64($0)) }
            }
        case .mask(let mask):
            return [image(mask.size) + [mask.runs.map(String.init).joined(separator: " ")]]
        }
    }
    return Array(
        ([columns] + rows).map { $0.joined(separator: ",") + "\n" }.joined().utf8)
}

private struct COCOExport: Encodable {
    struct Info: Encodable { let description: String }
    struct Image: Encodable {
        let id: Int
        let file_name: String
        let width: UInt32
        let height: UInt32
    }
    struct Category: Encodable {
        let id: Int
        let name: String
    }
    struct Annotation: Encodable {
        let id: Int
        let image_id: Int
        let category_id: UInt32
        let bbox: [Double]
        let area: Double
        let iscrowd: Int
        let segmentation: Segmentation?
    }
    struct Segmentation: Encodable {
        let size: [UInt32]
        let counts: [UInt32]
    }
    let info: Info
    let images: [Image]
    let categories: [Category]
    let annotations: [Annotation]
}

/// The consensus as a COCO file; masks as uncompressed run lengths, none for an empty one.
///
/// - Throws: ``CommandFault`` for a study that asks for neither boxes nor masks.
package func consensusCOCO(
    _ entries: [ConsensusEntry], _ rule: WireAnnotationRule
) throws -> [UInt8] {
    guard rule.kind.isImage else {
        throw CommandFault(
            "COCO files hold boxes and masks, and this study asks for \(rule.kind.rawValue) "
                + "answers; write --as csv or label-studio")
    }
    var annotations: [COCOExport.Annotation] = []
    for (place, entry) in entries.enumerated() {
        func add(
            _ label: UInt32, _ box: [Double], area: Double, _ runs: COCOExport.Segmentation? = nil
        ) {
            annotations.append(
                COCOExport.Annotation(
                    id: annotations.count + 1, image_id: place + 1, category_id: label, bbox: box,
                    area: area, iscrowd: runs == nil ? 0 : 1, segmentation: runs))
        }
        switch entry.answer {
        case .grade, .measurement: continue
        case .boxes(let set):
            for (box, drawn) in zip(set.boxes, drawnBoxes(entry.answer, rule)) {
                add(
                    box.label, [drawn.left, drawn.top, drawn.width, drawn.height],
                    area: drawn.width * drawn.height)
            }
        case .mask(let mask):
            guard let box = mask.bounds else { continue }
            add(
                1,
                [box.left, box.top, box.right - box.left, box.bottom - box.top].map(Double.init),
                area: Double(mask.area),
                COCOExport.Segmentation(
                    size: [mask.size.height, mask.size.width], counts: mask.runs))
        }
    }
    let labels = rule.labels.isEmpty ? (1...max(1, rule.classes)).map(String.init) : rule.labels
    return try reportJSON(
        COCOExport(
            info: COCOExport.Info(description: "consensus"),
            images: entries.enumerated().map { place, entry in
                COCOExport.Image(
                    id: place + 1, file_name: entry.item.text, width: entry.size?.width ?? 0,
                    height: entry.size?.height ?? 0)
            },
            categories: labels.enumerated().map {
                COCOExport.Category(id: $0.offset + 1, name: $0.element)
            },
            annotations: annotations))
}

private struct StudioExport: Encodable {
    struct Annotation: Encodable {
        let was_cancelled = false
        let result: [Result]

        private enum CodingKeys: CodingKey { case was_cancelled, result }
    }
    struct Result: Encodable {
        let id: String
        let type: String
        let from_name: String
        let to_name: String
        var original_width: UInt32?
        var original_height: UInt32?
        var image_rotation: Int?
        var value = Value()
    }
    struct Value: Encodable {
        var choices: [String]?
        var rating: UInt32?
        var number: Double?
        var x: Double?
        var y: Double?
        var width: Double?
        var height: Double?
        var rotation: Int?
        var rectanglelabels: [String]?
        var brushlabels: [String]?
        var format: String?
        var rle: [UInt8]?
    }
    struct Data: Encodable {
        let item: String
        let image: String
    }
    let id: Int
    let data: Data
    let annotations: [Annotation]
}

/// The consensus as Label Studio tasks, one annotation each.
///
/// - Throws: ``CommandFault`` for a measurement that a number of JSON does not hold exactly.
package func consensusTasks(
    _ entries: [ConsensusEntry], _ rule: WireAnnotationRule
) throws -> [UInt8] {
    for entry in entries {
        guard case .measurement(let value) = entry.answer,
            thousandths(exactly: Double(value) / 1000) != value
        else { continue }
        throw CommandFault(
            "\(entry.item) measures \(answerText(entry.answer, rule)), which Label Studio's numbers "
                + "do not hold exactly; write --as csv")
    }
    return try reportJSON(
        entries.enumerated().map { place, entry in
            StudioExport(
                id: place + 1,
                data: StudioExport.Data(item: entry.item.text, image: recordName(entry.item)),
                annotations: [StudioExport.Annotation(result: results(entry, rule))])
        })
}

private func results(_ entry: ConsensusEntry, _ rule: WireAnnotationRule) -> [StudioExport.Result] {
    func result(_ type: String, _ from: String, number: Int = 1) -> StudioExport.Result {
        var result = StudioExport.Result(
            id: "\(from)\(number)", type: type, from_name: from, to_name: "image")
        result.original_width = entry.size?.width
        result.original_height = entry.size?.height
        result.image_rotation = entry.size == nil ? nil : 0
        return result
    }
    switch entry.answer {
    case .grade(let grade) where rule.kind == .ordinal && rule.labels.isEmpty:
        var rating = result("rating", "grade")
        rating.value.rating = grade
        return [rating]
    case .grade:
        var choice = result("choices", "class")
        choice.value.choices = [answerText(entry.answer, rule)]
        return [choice]
    case .measurement(let value):
        var number = result("number", "measurement")
        number.value.number = Double(value) / 1000
        return [number]
    case .boxes(let set):
        return zip(set.boxes, 1...).map { box, number in
            var region = result("rectanglelabels", "box", number: number)
            let (wide, high) = (Double(set.size.width) * 10, Double(set.size.height) * 10)
            region.value.x = Double(box.left) / wide
            region.value.y = Double(box.top) / high
            region.value.width = Double(box.right - box.left) / wide
            region.value.height = Double(box.bottom - box.top) / high
            region.value.rotation = 0
            region.value.rectanglelabels = [answerText(.grade(box.label), rule)]
            return region
        }
    case .mask(let mask):
        var region = result("brushlabels", "brush")
        region.value.format = "rle"
        region.value.rle = brushRuns(mask)
        region.value.brushlabels = [answerText(.grade(1), rule)]
        return [region]
    }
}
