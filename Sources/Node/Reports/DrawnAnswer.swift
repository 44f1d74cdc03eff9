package import Contracts
package import Wire

/// Boxes or a mask, all of it, for a senior who judges it or a program that shows it.
package struct DrawnAnswer: Codable, Sendable {
    /// Edges in pixels with up to three decimals.
    package struct Box: Codable, Hashable, Sendable {
        package let label: String
        package let left: String
        package let top: String
        package let right: String
        package let bottom: String
    }

    /// Of the image in pixels.
    package let width: UInt32
    package let height: UInt32
    /// Null of a mask.
    @OrNull package var boxes: [Box]?
    /// Run lengths in the order of COCO, outside first; null of boxes.
    @OrNull package var runs: [UInt32]?
    /// What there is and where, in words.
    package let text: String

    /// - Returns: nil for what is not drawn.
    package init?(_ answer: Answer, _ rule: WireAnnotationRule) {
        switch answer {
        case .grade, .measurement: return nil
        case .boxes(let set):
            let boxes = set.boxes.map { box in
                Box(
                    label: answerText(.grade(box.label), rule), left: pixels(box.left),
                    top: pixels(box.top), right: pixels(box.right), bottom: pixels(box.bottom))
            }
            (width, height, runs) = (set.size.width, set.size.height, nil)
            text =
                boxes.isEmpty
                ? "nothing"
                : boxes.map { "\($0.label) \($0.left),\($0.top) to \($0.right),\($0.bottom)" }
                    .joined(separator: "; ")
            self.boxes = boxes
        case .mask(let mask):
            (width, height, boxes, runs) = (mask.size.width, mask.size.height, nil, mask.runs)
            text =
                mask.bounds.map {
                    "\(answerText(answer, rule)) within \($0.left),\($0.top) to "
                        + "\($0.right),\($0.bottom)"
                } ?? "nothing"
        }
    }
}

private func pixels(_ edge: UInt32) -> String { decimalText(thousandths: Int64(edge)) }
