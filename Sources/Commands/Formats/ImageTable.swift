import Contracts
import Ledger
import Node

/// Of a table of boxes: the image's sides, then the class and the edges of one box, all in pixels.
let boxColumns = ["item", "width", "height", "label", "left", "top", "right", "bottom"]

/// Of a table of masks: the image's sides, then its run lengths, outside first, between spaces.
let maskColumns = ["item", "width", "height", "runs"]

/// Reads a table of boxes, a row each; a row with nothing beside the sides says that there is none.
func readBoxTable(_ bytes: [UInt8], _ source: AnswerSource) throws -> [AnswerRow] {
    let table = try CSVTable(bytes: bytes, file: source.file, columns: boxColumns)
    var images: [DrawnImage] = []
    var places: [ItemID: Int] = [:]
    for row in table.rows {
        let (item, size, box) = (try row.item(), try row.imageSize(), try row.box(source))
        guard let place = places[item] else {
            places[item] = images.count
            images.append(
                DrawnImage(row: row, item: item, size: size, boxes: Set([box].compactMap(\.self))))
            continue
        }
        let first = images[place].row.line
        guard let box, !images[place].boxes.isEmpty else {
            throw row.fault("with line \(first) it says of \(item) that there is nothing, and more")
        }
        guard images[place].size == size else {
            throw row.fault("the image of \(item) has another size than in line \(first)")
        }
        guard images[place].boxes.insert(box).inserted else {
            throw row.fault("the same box of \(item) stands there twice")
        }
    }
    return try images.map { image in
        AnswerRow(
            place: image.row.place, name: image.item.text, isItem: true,
            answer: try source.boxes(image.boxes, image.size, "line \(image.row.line)"))
    }
}

/// Reads a table of masks, a row each.
func readMaskTable(_ bytes: [UInt8], _ source: AnswerSource) throws -> [AnswerRow] {
    let table = try CSVTable(bytes: bytes, file: source.file, columns: maskColumns)
    var lines: [ItemID: Int] = [:]
    return try table.rows.map { row in
        let item = try row.item(unlessIn: &lines)
        let counts = try row["runs"].split(separator: " ").map { text in
            guard let count = Int64(text) else {
                throw row.fault("runs must be whole numbers between spaces, not \"\(text)\"")
            }
            return count
        }
        return AnswerRow(
            place: row.place, name: item.text, isItem: true,
            answer: .mask(
                try source.mask(counts: counts, try row.imageSize(), "line \(row.line)")))
    }
}

/// The boxes of one image, and the row in which it stands first.
private struct DrawnImage {
    let row: CSVRow
    let item: ItemID
    let size: ImageSize
    var boxes: Set<Box>
}

extension CSVRow {
    func item() throws -> ItemID {
        guard let item = ItemID(self["item"]) else {
            throw fault(
                "item must be site/record, such as north/n0001, each of 1 to 64 characters of "
                    + "a-z 0-9 . _ -, not \"\(self["item"])\"")
        }
        return item
    }

    /// The item of a table in which each stands once.
    func item(unlessIn lines: inout [ItemID: Int]) throws -> ItemID {
        let item = try item()
        if let first = lines.updateValue(line, forKey: item) {
            throw fault("\(item) of line \(first) stands here again")
        }
        return item
    }

    fileprivate func imageSize() throws -> ImageSize {
        guard let width = UInt32(self["width"]), let height = UInt32(self["height"]),
            let size = ImageSize(width: width, height: height)
        else {
            throw fault(
                "width and height must be those of the image, 1 to \(ImageSize.longestSide) "
                    + "pixels, not \"\(self["width"])\" and \"\(self["height"])\"")
        }
        return size
    }

    /// - Returns: nil for a row that says that there is none.
    fileprivate func box(_ source: AnswerSource) throws -> Box? {
        let size = try imageSize()
        guard boxColumns.dropFirst(3).contains(where: { !self[$0].isEmpty }) else { return nil }
        guard let label = source.grade(self["label"]) else {
            throw fault("label must be \(source.classes), not \"\(self["label"])\"")
        }
        func edge(_ column: String, side: UInt32) throws -> UInt32 {
            guard let value = decimalThousandths(self[column]).flatMap({ UInt32(exactly: $0) }),
                value <= side * 1000
            else {
                throw fault(
                    "\(column) must be 0 to \(side) pixels with at most three decimals, not "
                        + "\"\(self[column])\"")
            }
            return value
        }
        let box = Box(
            label: label, left: try edge("left", side: size.width),
            top: try edge("top", side: size.height), right: try edge("right", side: size.width),
            bottom: try edge("bottom", side: size.height))
        guard box.left < box.right, box.top < box.bottom else {
            throw fault("a box must have left below right and top below bottom")
        }
        return box
    }
}
