import Commands
import Contracts
import Cryptography
import Foundation
import Ledger
import Node
import TestSupport
import Testing
import Wire

@Suite("Files of answers")
struct AnswerFileTests {
    static func rule(_ kind: AnswerKind, _ labels: [String] = []) -> WireAnnotationRule {
        var rule = WireAnnotationRule()
        rule.answer = kind.rawValue
        rule.labels = labels
        rule.classes = labels.isEmpty ? (kind == .masks ? 1 : 5) : UInt32(labels.count)
        return rule
    }

    func read(
        _ text: String, _ kind: AnswerKind, _ labels: [String] = [], annotator: String? = nil,
        control: String? = nil
    ) throws -> [AnswerRow] {
        try readAnswers(
            Array(text.utf8),
            AnswerSource(
                file: "f", rule: Self.rule(kind, labels), annotator: annotator, control: control))
    }

    func refusal(
        _ text: String, _ kind: AnswerKind, _ labels: [String] = [], annotator: String? = nil,
        control: String? = nil
    ) -> String {
        do {
            _ = try read(text, kind, labels, annotator: annotator, control: control)
            return "no refusal"
        } catch let fault as InputFault {
            return fault.description
        } catch { return "\(error)" }
    }

    static func mask(_ width: UInt32, _ height: UInt32, _ runs: UInt32...) throws -> Answer {
        let size = try #require(ImageSize(width: width, height: height))
        return .mask(try #require(RunMask(size: size, runs: runs)))
    }

    static func boxes(_ width: UInt32, _ height: UInt32, _ boxes: Box...) throws -> Answer {
        let size = try #require(ImageSize(width: width, height: height))
        return .boxes(try #require(BoxSet(size: size, boxes: boxes)))
    }

    // MARK: - COCO

    private static func coco(_ annotations: String, images: String = image) -> String {
        """
        {"images":[\(images)],"categories":[{"id":7,"name":"cell"}],"annotations":[\(annotations)]}
        """
    }

    private static let image = #"{"id":1,"file_name":"a.png","width":3,"height":2}"#

    private static func runs(_ segmentation: String, area: String = "") -> String {
        #"{"image_id":1,"category_id":7,\#(area)"segmentation":\#(segmentation)}"#
    }

    @Test("COCO masks in both forms of run lengths, joined, and none at all")
    func cocoMasks() throws {
        let plain = #"{"size":[2,3],"counts":[1,2,1,1,1]}"#
        let packed = #"{"size":[2,3],"counts":"121O0"}"#
        let expected = try Self.mask(3, 2, 1, 2, 1, 1, 1)
        for text in [plain, packed] {
            let rows = try read(Self.coco(Self.runs(text, area: "\"area\":3,")), .masks, ["cell"])
            #expect(rows.map(\.answer) == [expected] && rows.map(\.name) == ["a.png"])
        }
        let empty = try read(Self.coco(""), .masks)
        #expect(empty.map(\.answer) == [try Self.mask(3, 2, 6)])
        let zeros = try read(
            Self.coco(Self.runs(#"{"size":[2,3],"counts":[0,0,1,0,5]}"#)), .masks)
        #expect(zeros.map(\.answer) == [try Self.mask(3, 2, 6)])
        let joined = try read(
            Self.coco(Self.runs(#"{"size":[2,3],"counts":[1,2,0,1,2]}"#)), .masks)
        #expect(joined.map(\.answer) == [try Self.mask(3, 2, 1, 3, 2)])
        let two =
            Self.runs(#"{"size":[2,3],"counts":[0,1,5]}"#) + ","
            + Self.runs(#"{"size":[2,3],"counts":[5,1]}"#)
        #expect(try read(Self.coco(two), .masks).map(\.answer) == [try Self.mask(3, 2, 0, 1, 4, 1)])
        let wrapped =
            #"{"size":[2,3],"counts":[4611686018427387904,4611686018427387904,"#
            + #"4611686018427387904,4611686018427387904,6]}"#
        #expect(
            refusal(Self.coco(Self.runs(wrapped)), .masks)
                == "f: annotations[0]: its runs hold more than 2^32 pixels, the image 6")
        let long = #"{"size":[300,1],"counts":"5X13iNa?1"}"#
        #expect(
            refusal(Self.coco(Self.runs(long)), .masks)
                == "f: annotations[0]: a mask of size [300, 1] on an image of height 2 and width 3")
    }

    @Test("COCO boxes are in thousandths of a pixel")
    func cocoBoxes() throws {
        let box = #"{"image_id":1,"category_id":7,"bbox":[0.5,0,2.5,1.25]}"#
        let expected = try Self.boxes(
            3, 2, Box(label: 1, left: 500, top: 0, right: 3000, bottom: 1250))
        #expect(try read(Self.coco(box), .boxes, ["cell"]).map(\.answer) == [expected])
        #expect(
            refusal(Self.coco(box), .boxes)
                == "f: categories[0]: the class \"7\" is not of this study, which has a whole number "
                + "from 1 to 5")
        let foreign = refusal("{\"answers\":[]}", .class)
        #expect(foreign.contains("which holds boxes and masks") && foreign.contains("item,answer"))
    }

    private static func box(_ bbox: String) -> String {
        coco("{\"image_id\":1,\"category_id\":7,\"bbox\":\(bbox)}")
    }

    private static let badBoxes: [(String, String)] = [
        (box("[0,0,-1,1]"), "a box of -1.0 by 1.0; sides must be above 0"),
        (box("[0,0,1,0]"), "a box of 1.0 by 0.0; sides must be above 0"),
        (box("[-1,0,1,1]"), "that leaves the image of 3×2 pixels"),
        (box("[2,0,2,1]"), "that leaves the image of 3×2 pixels"),
        (box("[0,0,1e300,1]"), "that leaves the image of 3×2 pixels"),
        (box("[0,0,0.0001,1]"), "narrower than a thousandth of a pixel"),
        (box("[0,0,1]"), "bbox has 3 numbers instead of 4"),
        (
            box("[0,0,NaN,1]"),
            "f, line 1: is not JSON at character 158; NaN and Infinity are no numbers of JSON"
        ),
        (box("[0,0,\"1\",1]"), "f: annotations[0].bbox[2] is not a number"),
        (box("null"), "annotations[0]: bbox is missing"),
        (coco("{\"image_id\":2,\"category_id\":7}"), "there is no image 2"),
        (coco("{\"image_id\":1,\"category_id\":8}"), "there is no category 8"),
        (coco("{\"category_id\":7}"), "f: annotations[0].image_id is missing"),
        (coco("", images: image + "," + image), "images[1]: its id 1 stands there twice"),
        (
            coco("", images: #"{"id":1,"file_name":"a","width":-3,"height":2}"#),
            "an image of -3×2 pixels; sides must be 1 to 16384"
        ),
        (coco("", images: ""), "f: holds no answers"),
        ("{\"images\":[]}", "f: categories is missing"),
        ("{", "f, line 1: is not JSON"),
    ]

    @Test("COCO boxes that are none", arguments: badBoxes)
    func cocoBoxRefusals(text: String, reason: String) {
        let told = refusal(text, .boxes, ["cell"])
        #expect(told.contains(reason), "\(told)")
    }

    private static let badMasks: [(String, String)] = [
        (runs(#"{"size":[2,3],"counts":[1,2,4]}"#), "its runs hold 7 pixels, the image 6"),
        (runs(#"{"size":[2,3],"counts":[1,2]}"#), "its runs hold 3 pixels, the image 6"),
        (runs(#"{"size":[2,3],"counts":[7,-1]}"#), "a run of -1 pixels"),
        (
            runs(#"{"size":[2,3],"counts":[9223372036854775807,9223372036854775807,8]}"#),
            "its runs hold"
        ),
        (runs(#"{"size":[3,2],"counts":[6]}"#), "a mask of size [3, 2] on an image of height 2"),
        (runs(#"{"size":[2,3],"counts":"121O"}"#), "its runs hold"),
        (runs(#"{"size":[2,3],"counts":"12~"}"#), "counts is no packed run length"),
        (runs(#"{"size":[2,3],"counts":"12oooooooooo"}"#), "counts is no packed run length"),
        (
            runs(#"{"size":[2,3],"counts":[1,2,1.5]}"#),
            "f: annotations[0].segmentation.counts[2] is no whole number, or too large"
        ),
        (
            runs(#"{"size":[2,3],"counts":[1,2,1e30]}"#),
            "f: annotations[0].segmentation.counts[2] is no whole number, or too large"
        ),
        (runs(#"{"size":[2.5,3],"counts":[6]}"#), "f: holds a number that should be a whole one"),
        (runs("[[0,0,1,1,2,0]]"), "segmentation is polygons"),
        (runs("null"), "segmentation is missing"),
        (runs(#"{"size":[2,3],"counts":[1,2,3]}"#, area: "\"area\":3,"), "its area is 3.0"),
    ]

    @Test("COCO masks that are none", arguments: badMasks)
    func cocoMaskRefusals(annotation: String, reason: String) {
        let told = refusal(Self.coco(annotation), .masks, ["cell"])
        #expect(told.contains(reason), "\(told)")
    }

    // MARK: - Label Studio

    private static func task(
        _ results: String, by person: String = "4", image: String = "a.png", extra: String = ""
    ) -> String {
        """
        {"id":1,"data":{"image":"\(image)","n":3},"annotations":[
        {"id":2,"completed_by":\(person),\(extra)"result":[\(results)]}]}
        """
    }

    private static let choice =
        #"{"type":"choices","from_name":"c","value":{"choices":["cell"]}}"#
    private static let rating = #"{"type":"rating","from_name":"r","value":{"rating":3}}"#
    private static let number = #"{"type":"number","from_name":"n","value":{"number":-2.125}}"#

    private static func rectangle(_ value: String, width: String = "400") -> String {
        """
        {"type":"rectanglelabels","original_width":\(width),"original_height":200,
        "value":{\(value),"rectanglelabels":["cell"]}}
        """
    }

    @Test("Label Studio choices, ratings, numbers and rectangles")
    func studio() throws {
        let all = [
            Self.choice, Self.rating, Self.number,
            Self.rectangle(#""x":25,"y":12.5,"width":10.0004,"height":87.5,"rotation":0"#),
        ].joined(separator: ",")
        let text = "[\(Self.task(all))]"
        #expect(try read(text, .class, ["x", "cell"]).map(\.answer) == [.grade(2)])
        #expect(try read(text, .ordinal).map(\.answer) == [.grade(3)])
        #expect(try read(text, .measurement).map(\.answer) == [.measurement(-2125)])
        let expected = try Self.boxes(
            400, 200, Box(label: 1, left: 100_000, top: 25_000, right: 140_002, bottom: 200_000))
        let rows = try read(text, .boxes, ["cell"])
        #expect(rows.map(\.answer) == [expected] && rows.map(\.name) == ["a.png"])
    }

    /// Both streams encode the mask 011 / 100: opacity alone decides, literal or repeated.
    @Test("Label Studio brushes, literal and repeated")
    func brush() throws {
        let literal = [
            0, 0, 0, 24, 57, 27, 249, 144, 112, 0, 0, 15, 240, 161, 72, 15, 240, 161, 69, 32, 63,
            194, 133, 32, 7, 7, 0, 0, 0, 7, 0, 0, 0,
        ]
        let repeated = [0, 0, 0, 24, 57, 27, 252, 96, 22, 255, 231, 0]
        func text(_ rle: [Int], height: Int = 2) -> String {
            let result = """
                {"type":"brushlabels","original_width":3,"original_height":\(height),
                "value":{"format":"rle","rle":\(rle),"brushlabels":["cell"]}}
                """
            return "[\(Self.task(result))]"
        }
        let expected = try Self.mask(3, 2, 1, 2, 1, 1, 1)
        for rle in [literal, repeated] {
            #expect(try read(text(rle), .masks, ["cell"]).map(\.answer) == [expected])
        }
        for length in 0..<repeated.count - 1 {
            #expect(refusal(text(Array(repeated.prefix(length))), .masks).contains("its rle"))
        }
        #expect(refusal(text(repeated, height: 3), .masks).contains("is of another image size"))
        var over = repeated
        over[6] |= 0x03
        #expect(
            ["overruns the image", "ends too early"].contains { reason in
                refusal(text([0, 0, 0, 24, 57, 27, 255, 255, 255, 255], height: 2), .masks)
                    .contains(reason)
            })
        #expect(refusal(text([256]), .masks).contains("more than bytes"))
        // What the export writes is the repeated form.
        let item = try #require(ItemID("north/a"))
        let size = try #require(ImageSize(width: 3, height: 2))
        let entry = ConsensusEntry(item: item, answer: expected, size: size)
        let tasks = String(
            decoding: try consensusTasks([entry], Self.rule(.masks, ["cell"])), as: UTF8.self)
        #expect(tasks.contains("\"rle\":[0,0,0,24,57,27,252,96,22,255,231,0]"))
    }

    private static let badTasks: [(String, AnswerKind, String)] = [
        (task(choice, extra: "\"was_cancelled\":true,"), .class, "the annotation was cancelled"),
        (task(""), .class, "has 0 results of type choices instead of 1"),
        (task(choice + "," + choice), .class, "has 2 results of type choices"),
        (
            task(choice + "," + choice.replacing("\"c\"", with: "\"d\"")), .class,
            "answers c and d; say with --control"
        ),
        (task(choice.replacing("cell", with: "cat")), .class, "the class \"cat\" is not of this"),
        (
            task(choice.replacing("[\"cell\"]", with: "[\"cell\",\"cell\"]")), .class,
            "chooses 2 classes"
        ),
        (task(rating.replacing("3", with: "6")), .ordinal, "a rating of 6.0"),
        (task(rating.replacing("3", with: "2.5")), .ordinal, "a rating of 2.5"),
        (task(rating.replacing("3", with: "-1")), .ordinal, "a rating of -1.0"),
        (task(number.replacing("-2.125", with: "0.12345")), .measurement, "three decimals"),
        (
            task(number.replacing("-2.125", with: "1e300")), .measurement,
            "beyond ±9007199254740.991"
        ),
        (task(number.replacing("-2.125", with: "NaN")), .measurement, "is not JSON"),
        (
            task(rectangle(#""x":1,"y":1,"width":-5,"height":5"#)), .boxes,
            "sides must be above 0"
        ),
        (task(rectangle(#""x":90,"y":1,"width":11,"height":5"#)), .boxes, "leaves the image"),
        (
            task(rectangle(#""x":1,"y":1,"width":5,"height":5,"rotation":30"#)), .boxes,
            "a rotated rectangle"
        ),
        (task(rectangle(#""x":1,"y":1,"width":5"#)), .boxes, "without x, y, width and height"),
        (
            task(rectangle(#""x":1,"y":1,"width":5,"height":5"#, width: "0")), .boxes,
            "original_width and original_height"
        ),
        (
            task(rectangle(#""x":1,"y":1,"width":5,"height":5"#)), .masks,
            "a region of type rectanglelabels; masks of this study are brushlabels"
        ),
        (task(#"{"type":"polygonlabels"}"#), .boxes, "a region of type polygonlabels; boxes"),
        (
            task(choice) + "," + task(choice, by: "5"), .class,
            "holds annotations of 4, 5; say with --annotator"
        ),
    ]

    @Test("Label Studio exports that are refused", arguments: badTasks)
    func studioRefusals(text: String, kind: AnswerKind, reason: String) {
        let told = refusal("[\(text)]", kind, kind == .ordinal ? [] : ["cell", "x"])
        #expect(told.contains(reason), "\(told)")
    }

    @Test("of several people's annotations one person's are taken")
    func people() throws {
        let text =
            "[" + Self.task(Self.rating) + ","
            + Self.task(
                Self.rating.replacing("3", with: "5"), by: #"{"id":5,"email":"e@x"}"#,
                image: "/data/upload/1/0a1b2c3d-b.png?x=1") + "]"
        let rows = try read(text, .ordinal, annotator: "e@x")
        #expect(rows.map(\.answer) == [.grade(5)])
        #expect(try read(text, .ordinal, annotator: "4").map(\.answer) == [.grade(3)])
        #expect(
            refusal(text, .ordinal, annotator: "6")
                == "f: holds no annotations of 6, but of 4, 5")
        #expect(resolved(rows, [("north/b", nil)], .ordinal) == ["north/b"])
    }

    /// The items of rows, or the refusal.
    private func resolved(
        _ rows: [AnswerRow], _ items: [(String, ImageSize?)], _ kind: AnswerKind
    ) -> [String] {
        do {
            return try resolve(
                rows, among: items.map { (item: try #require(ItemID($0.0)), size: $0.1) },
                AnswerSource(file: "f", rule: Self.rule(kind)), reader: "r"
            ).map(\.item.text)
        } catch { return ["\(error)"] }
    }

    @Test("a row is of one item on the worklist, and of its image's size")
    func resolving() throws {
        let size = ImageSize(width: 3, height: 2)
        let rows = try read(Self.coco(""), .masks)
        func told(_ rows: [AnswerRow], _ items: (String, ImageSize?)...) -> String {
            resolved(rows, items, .masks).joined(separator: " ")
        }
        #expect(told(rows, ("north/a", size)) == "north/a")
        #expect(told(rows) == "f, images[0]: a.png is not on the worklist of r; nothing was sent")
        #expect(
            told(rows, ("north/a", ImageSize(width: 2, height: 3)))
                == "f, images[0]: north/a is an image of 2×3 pixels, not 3×2; nothing was sent")
        #expect(
            told(rows + rows, ("north/a", size))
                == "f, images[0]: north/a of f, images[0] stands here again; nothing was sent")
        #expect(
            told(rows, ("north/a", size), ("east/a", size))
                == "f, images[0]: a.png may be east/a or north/a; name the item in full; nothing "
                + "was sent")
        // An image may lie in a folder of any name; an item is that of its own site.
        #expect(
            told(
                try read(Self.coco("", images: Self.image.replacing("a.png", with: "x/a")), .masks),
                ("north/a", size)) == "north/a")
        let foreign = try read("item,answer\neast/a,3\n", .ordinal)
        #expect(
            resolved(foreign, [("north/a", nil)], .ordinal)
                == ["f, line 2: east/a is not on the worklist of r; nothing was sent"])
        let task = Self.task(Self.rating).replacing(
            #""image":"a.png""#, with: #""image":"a.png","item":"east/a""#)
        #expect(
            resolved(try read("[\(task)]", .ordinal), [("north/a", nil)], .ordinal)
                == [
                    "f, [0].annotations[0]: east/a is not on the worklist of r; nothing was sent"
                ])
    }

    @Test("a Label Studio annotation without regions says that there is nothing on the image")
    func nothingDrawn() throws {
        let size = try #require(ImageSize(width: 3, height: 2))
        let item = try #require(ItemID("north/a"))
        for (kind, expected) in [
            (AnswerKind.boxes, try Self.boxes(3, 2)), (.masks, try Self.mask(3, 2, 6)),
        ] {
            // An answer about the whole image is no region.
            for results in ["", Self.choice] {
                let rows = try read("[\(Self.task(results))]", kind)
                #expect(rows.map(\.answer) == [nil])
                let source = AnswerSource(file: "f", rule: Self.rule(kind))
                let found = try resolve(rows, among: [(item, size)], source, reader: "r")
                #expect(found.map(\.answer) == [expected])
                #expect(
                    resolved(rows, [("north/a", nil)], kind)
                        == [
                            "f, [0].annotations[0]: nothing is drawn, and how large the image of "
                                + "north/a is nobody says; nothing was sent"
                        ])
            }
        }
    }

    @Test("an answer opens what was committed under the present key or the other one")
    func salts() throws {
        let keys = try (0..<3).map { try SigningKey(seed: named("key \($0)")) }
        let (account, item) = (AccountID(.annotator, "r"), try itemID("north/a"))
        func salts(_ key: Int, _ others: Int...) -> ReaderSalts {
            ReaderSalts(
                account: account, network: NetworkID(.zero), key: keys[key],
                others: others.map { keys[$0] })
        }
        let early = salts(0).commitment(to: .grade(3), of: item)
        #expect(salts(1, 0).commitment(to: .grade(3), of: item) != early)
        let salt = try #require(salts(1, 0).salt(opening: early.hex, .grade(3), of: item))
        #expect(
            answerCommitment(
                network: NetworkID(.zero), item: item, annotator: account, answer: .grade(3),
                salt: salt) == early)
        #expect(salts(0, 1).salt(opening: early.hex, .grade(3), of: item) == salt)
        #expect(salts(1, 2).salt(opening: early.hex, .grade(3), of: item) == nil)
        #expect(salts(1, 0).salt(opening: early.hex, .grade(4), of: item) == nil)
    }

    // MARK: - Export

    @Test("what is exported is read back as it was")
    func roundTrip() throws {
        let size = try #require(ImageSize(width: 3, height: 2))
        let answers: [(AnswerKind, [String], [Answer])] = [
            (.class, ["a b", "c"], [.grade(2), .grade(1)]), (.ordinal, [], [.grade(2), .grade(5)]),
            (.measurement, [], [.measurement(-1), .measurement(12_340)]),
            (
                .boxes, ["a b", "c"],
                [
                    try Self.boxes(
                        3, 2, Box(label: 1, left: 1, top: 0, right: 3000, bottom: 1999),
                        Box(label: 2, left: 0, top: 0, right: 1, bottom: 7)),
                    try Self.boxes(3, 2, Box(label: 2, left: 0, top: 0, right: 3000, bottom: 2000)),
                ]
            ),
            (
                .masks, ["c"],
                [try Self.mask(3, 2, 1, 2, 1, 1, 1), try Self.mask(3, 2, 0, 6)]
            ),
        ]
        for (kind, labels, given) in answers {
            let rule = Self.rule(kind, labels)
            let entries = try zip(["north/a", "north/b"], given).map { name, answer in
                ConsensusEntry(
                    item: try #require(ItemID(name)), answer: answer,
                    size: kind.isImage ? size : nil)
            }
            let source = AnswerSource(file: "f", rule: rule)
            #expect(
                try readAnswers(consensusTasks(entries, rule), source).compactMap(\.answer)
                    == given)
            if kind.isImage {
                let rows = try readAnswers(consensusCOCO(entries, rule), source)
                #expect(
                    rows.compactMap(\.answer) == given
                        && rows.map(\.name) == ["north/a", "north/b"])
            } else {
                #expect(throws: CommandFault.self) { try consensusCOCO(entries, rule) }
            }
            #expect(
                try readAnswers(consensusTable(entries, rule), source).compactMap(\.answer)
                    == given)
        }
    }

    @Test("records of two sites that share a name stay two images")
    func sameNames() throws {
        let size = try #require(ImageSize(width: 3, height: 2))
        let items = try ["east/a", "north/a"].map { try #require(ItemID($0)) }
        let rule = Self.rule(.masks, ["c"])
        let entries = try items.map {
            ConsensusEntry(item: $0, answer: try Self.mask(3, 2, 1, 2, 3), size: size)
        }
        let source = AnswerSource(file: "f", rule: rule)
        let rows = try readAnswers(consensusCOCO(entries, rule), source)
        let found = try resolve(
            rows, among: items.map { (item: $0, size: size) }, source, reader: "annotator/a")
        #expect(found.map(\.item) == items)
    }

    @Test("a measurement that no number of JSON holds is refused for that, out and in")
    func longMeasurements() throws {
        let rule = Self.rule(.measurement, [])
        func tasks(_ value: Int64) throws -> [UInt8] {
            let item = try #require(ItemID("north/a"))
            return try consensusTasks(
                [ConsensusEntry(item: item, answer: .measurement(value), size: nil)], rule)
        }
        let source = AnswerSource(file: "f", rule: rule)
        for value in [1 << 40 - 1, 1 - 1 << 40] as [Int64] {
            #expect(
                try readAnswers(tasks(value), source).map(\.answer) == [.measurement(value)])
        }
        #expect(throws: CommandFault.self) { try tasks(1 << 53) }
        let large = String(decoding: try tasks(1_000), as: UTF8.self)
            .replacingOccurrences(of: "\"number\":1}", with: "\"number\":9007199254740992}")
        #expect(refusal(large, .measurement).contains("beyond ±9007199254740.991"))
    }
}
