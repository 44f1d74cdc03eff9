import Commands
import Contracts
import Foundation
import Node
import Testing

/// What a file leaves open, or an option that says nothing of it.
extension AnswerFileTests {
    private static func coco(_ annotations: String, name: String = "artefact") -> String {
        """
        {"images":[{"id":1,"file_name":"a.png","width":3,"height":2},
        {"id":2,"file_name":"b.png","width":3,"height":2}],
        "categories":[{"id":7,"name":"tumour"},{"id":8,"name":"\(name)"}],
        "annotations":[\(annotations)]}
        """
    }

    private static func drawn(_ image: Int, _ category: Int) -> String {
        """
        {"image_id":\(image),"category_id":\(category),
        "segmentation":{"size":[2,3],"counts":[1,2,3]}}
        """
    }

    @Test("COCO masks of several categories are refused by the one that is another")
    func severalCategories() throws {
        let same = Self.drawn(1, 7) + "," + Self.drawn(2, 7)
        #expect(try read(Self.coco(same), .masks).count == 2)
        // Two numbers of one name are one category.
        let alike = Self.coco(Self.drawn(1, 7) + "," + Self.drawn(2, 8), name: "tumour")
        #expect(try read(alike, .masks).count == 2)
        for image in [1, 2] {
            let told = refusal(
                Self.coco(Self.drawn(1, 7) + "," + Self.drawn(image, 8)), .masks)
            #expect(
                told.hasPrefix(
                    "f: annotations[1]: a mask of \"artefact\", and that of annotations[0] is of "
                        + "\"tumour\"; this study asks for masks of one thing"), "\(told)")
            #expect(told.contains("leave the others' annotations out of the file"))
        }
    }

    private static func brush(_ labels: String, _ from: String = "b") -> String {
        """
        {"type":"brushlabels","from_name":"\(from)","original_width":3,"original_height":2,
        "value":{"format":"rle","rle":[0,0,0,24,57,27,252,96,22,255,231,0],"brushlabels":[\(labels)]}}
        """
    }

    private static func task(_ results: [String], by person: Int = 4, extra: String = "") -> String
    {
        """
        {"id":1,"data":{"image":"\(person).png"},"annotations":[
        {"id":2,"completed_by":\(person),\(extra)"result":[\(results.joined(separator: ","))]}]}
        """
    }

    @Test("Label Studio brushes of several classes are refused where the agreement names none")
    func severalBrushes() throws {
        let (tumour, artefact) = (Self.brush("\"tumour\""), Self.brush("\"artefact\""))
        let both = "[\(Self.task([tumour, artefact]))]"
        let told = refusal(both, .masks)
        #expect(
            told.hasPrefix(
                "f: [0].annotations[0]: a mask of \"artefact\", and one of [0].annotations[0] is of "
                    + "\"tumour\"; this study asks for masks of one thing"), "\(told)")
        let apart = "[\(Self.task([tumour])),\(Self.task([artefact]))]"
        #expect(refusal(apart, .masks).hasPrefix("f: [1].annotations[0]: a mask of \"artefact\""))
        let region = "[\(Self.task([Self.brush("\"tumour\",\"artefact\"")]))]"
        #expect(refusal(region, .masks).contains("asks for masks of one thing"))
        #expect(try read("[\(Self.task([tumour, tumour]))]", .masks).count == 1)
        // Those of another question, or of another person, were not asked for.
        let other = Self.brush("\"artefact\"", "c")
        let questions = "[\(Self.task([tumour, other]))]"
        #expect(try read(questions, .masks, control: "b").count == 1)
        #expect(refusal(questions, .masks).hasSuffix("say with --control which question is meant"))
        let people = "[\(Self.task([tumour])),\(Self.task([artefact], by: 5))]"
        #expect(try read(people, .masks, annotator: "4").map(\.name) == ["4.png"])
    }

    @Test("a rotated image is refused, an upright one is not")
    func rotatedImages() throws {
        func turned(_ text: String, _ degrees: String) -> String {
            text.replacing(
                "\"original_width\"", with: "\"image_rotation\":\(degrees),\"original_width\"")
        }
        let box = """
            {"type":"rectanglelabels","original_width":400,"original_height":200,
            "value":{"x":1,"y":1,"width":5,"height":5,"rotation":0,"rectanglelabels":["cell"]}}
            """
        for (result, kind) in [(box, AnswerKind.boxes), (Self.brush("\"cell\""), .masks)] {
            let upright = "[\(Self.task([turned(result, "0")]))]"
            #expect(try read(upright, kind, ["cell"]).count == 1)
            for degrees in ["90", "-90", "0.5", "360"] {
                let told = refusal("[\(Self.task([turned(result, degrees)]))]", kind, ["cell"])
                #expect(told.contains("the image was rotated while it was read"), "\(told)")
                #expect(told.contains("annotate and export it unrotated"))
            }
        }
        let askew = Self.brush("\"cell\"").replacing(
            "\"format\"", with: "\"rotation\":9,\"format\"")
        #expect(refusal("[\(Self.task([askew]))]", .masks, ["cell"]).contains("a rotated brush"))
    }

    @Test("a cancelled annotation counts where it is the reader's own")
    func cancelled() throws {
        let choice = #"{"type":"choices","from_name":"c","value":{"choices":["cell"]}}"#
        let labels = ["cell", "x"]
        let gone = Self.task([choice], by: 5, extra: "\"was_cancelled\":true,")
        let text = "[\(Self.task([choice])),\(gone)]"
        #expect(try read(text, .class, labels, annotator: "4").map(\.answer) == [.grade(1)])
        #expect(
            refusal(text, .class, labels, annotator: "5").hasPrefix(
                "f: [1].annotations[0]: the annotation was cancelled"))
        #expect(refusal(text, .class, labels).contains("say with --annotator"))
        #expect(refusal("[\(gone)]", .class, labels).contains("the annotation was cancelled"))
    }

    @Test("an option that says nothing of a file is refused, and one that names nobody in it")
    func idleOptions() {
        let tables: [(String, AnswerKind)] = [
            ("item,answer\nn/a,1\n", .ordinal),
            ("item,width,height,label,left,top,right,bottom\nn/a,3,2,1,0,0,1,1\n", .boxes),
            ("item,width,height,runs\nn/a,3,2,1 2 3\n", .masks),
        ]
        for (table, kind) in tables {
            #expect(refusal(table, kind) == "no refusal")
            #expect(
                refusal(table, kind, annotator: "x")
                    == "f: is a table of one reader, of which --annotator x says nothing; leave the "
                    + "option out")
            #expect(
                refusal(table, kind, control: "y")
                    == "f: is a table, of which --control y says nothing; leave the option out")
        }
        #expect(
            refusal("item,r\nn/a,1\n", .ordinal, annotator: "r", control: "y")
                .hasPrefix("f: is a table, of which --control y"))
        let file = Self.coco(Self.drawn(1, 7))
        #expect(
            refusal(file, .masks, annotator: "x")
                .hasPrefix("f: is a COCO file of one annotator, of which --annotator x"))
        #expect(
            refusal(file, .masks, control: "y")
                .hasPrefix("f: is a COCO file, of which --control y says nothing"))
        let tasks = "[\(Self.task([Self.brush("\"cell\"")]))]"
        #expect(
            refusal(tasks, .masks, annotator: "9") == "f: holds no annotations of 9, but of 4")
        #expect(refusal(tasks, .masks, control: "y") == "f: answers no question y, but b")
        #expect(refusal(tasks, .masks, annotator: "4", control: "b") == "no refusal")
    }

    @Test("a wide table is the reader's own where nobody else's column was asked for")
    func ownColumn() throws {
        let text = Array("item,r,s\nn/a,1,2\n".utf8)
        func answers(annotator: String?) throws -> [Answer?] {
            try readAnswers(
                text,
                AnswerSource(
                    file: "f", rule: Self.rule(.ordinal), annotator: annotator, reader: "r")
            ).map(\.answer)
        }
        #expect(try answers(annotator: nil) == [.grade(1)])
        #expect(try answers(annotator: "s") == [.grade(2)])
    }

    private static let broken: [(String, String)] = [
        ("[", "f, line 1: is not JSON at character 2: it ends in the middle, so the file looks"),
        ("[{\"id\":1,\n\"data\"", "f, line 2: is not JSON at character 7: it ends in the middle"),
        ("[{\"id\":\nNaN}]", "f, line 2: is not JSON at character 1; NaN and Infinity are no"),
        ("[{\"id\":-Infinity}]", "f, line 1: is not JSON at character 9; NaN and Infinity"),
        ("[{\"id\":nan}]", "f, line 1: is not JSON at character 8; NaN and Infinity"),
        ("[{\"id\":nul}]", "f, line 1: is not JSON"),
        ("[{\"id\":1}]x", "f, line 1: is not JSON at character 11: invalid value"),
        (
            "[{\"data\":{},\n\"annotations\":[],\"id\":1e400}]",
            "f, line 2: is not JSON at character 23: the number 1e400 is beyond what a number"
        ),
        ("[{'id':1}]", "f, line 1: is not JSON at character 3: "),
    ]

    @Test("what is no JSON is refused with the place and the reason", arguments: broken)
    func brokenJSON(text: String, reason: String) {
        let told = refusal(text, .class)
        #expect(told.hasPrefix(reason), "\(told)")
        #expect(told.contains("NaN") == reason.contains("NaN"), "\(told)")
    }

    @Test("an odd byte is named by its line")
    func oddByte() {
        let bytes = Array("[{\"id\":1,\n".utf8) + [0xFF] + Array("\n}]".utf8)
        let fault = #expect(throws: InputFault.self) {
            try readAnswers(bytes, AnswerSource(file: "f", rule: Self.rule(.class)))
        }
        #expect(fault?.description.hasPrefix("f, line 2: is not UTF-8 text") == true)
    }

    @Test("an item's name is refused with the characters that it may have")
    func itemNames() {
        #expect(
            refusal("item,answer\nnorth/gTYPO,1\n", .ordinal)
                == "f, line 2: item must be site/record, such as north/n0001, each of 1 to 64 "
                + "characters of a-z 0-9 . _ -, not \"north/gTYPO\"")
    }

    @Test("shown are boxes by their edges one a line, and a mask by those around it")
    func shown() throws {
        func shown(_ text: String, _ kind: AnswerKind) throws -> [[String]] {
            AnswersReport(try read(text, kind), Self.rule(kind)).text
                .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        }
        let boxes = """
            item,width,height,label,left,top,right,bottom
            n/a,3,2,1,0.5,0,3,1.25
            n/a,3,2,2,0,0,1,2
            n/b,3,2,,,,,

            """
        #expect(
            try shown(boxes, .boxes) == [
                ["item", "answer", "area", "left,top,right,bottom"],
                ["n/a", "1", "-", "0.5,0,3,1.25"], ["n/a", "2", "-", "0,0,1,2"],
                ["n/b", "0", "boxes", "-", "-"],
            ])
        let masks = "item,width,height,runs\nn/a,3,2,2 3 1\nn/b,3,2,6\n"
        #expect(
            try shown(masks, .masks).dropFirst().map { $0.last } == ["1,0,3,2", "-"])
    }
}
