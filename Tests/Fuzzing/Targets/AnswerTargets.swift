import Commands
import Contracts
import Ledger
import Wire

extension FuzzTarget {
    /// Answers as a CSV table, a COCO file, or an export of Label Studio.
    static func answers() -> Self {
        let words = [
            "\"size\"", "\"counts\"", "\"rle\"", "\"bbox\"", "\"segmentation\"", "\"images\"",
            "\"annotations\"", "\"categories\"", "\"result\"", "\"value\"", "\"choices\"",
            "\"rating\"", "\"number\"", "\"rectanglelabels\"", "\"brushlabels\"", "\"width\"",
            "\"height\"", "\"image_id\"", "null", "true", "1e308", "-1", "0.0005", "[]", "{}",
            "\"cell\"", "9223372036854775808", "65536", "item", "answer", "\"iscrowd\"",
            "\"was_cancelled\"", "\"completed_by\"", "\"original_width\"", "\"format\"",
        ]
        let sources = AnswerKind.allCases.map { kind in
            var rule = WireAnnotationRule()
            rule.answer = kind.rawValue
            rule.classes = kind == .masks ? 1 : 5
            if kind != .ordinal && kind != .measurement {
                rule.labels = kind == .masks ? ["cell"] : ["benign", "cell"]
                rule.classes = UInt32(rule.labels.count)
            }
            return AnswerSource(file: "f", rule: rule)
        }
        let items = ["n/a", "n/b"].compactMap { ItemID($0) }
            .map { (item: $0, size: ImageSize(width: 3, height: 2)) }
        return Self(
            "answers", .text, seeds: answerSeeds.map { Array($0.utf8) }, words: words,
            hostile: [[], Array("{}".utf8), Array("[]".utf8), Array("[[[[[[".utf8)]
        ) { bytes in
            var refusals: [any Error] = []
            for source in sources {
                do {
                    let rows = try readAnswers(bytes, source)
                    _ = try? resolve(rows, among: items, source, reader: "annotator/n-1")
                } catch { refusals.append(error) }
            }
            if refusals.count == sources.count {
                throw NotTaken(refusals.map { "\($0)" }.joined(separator: " / "))
            }
            return nil
        }
    }

    private static let answerSeeds = [
        "item,answer\nn/a,benign\nn/b,cell\n", "answer,item\n3,n/a\n5,n/b\n",
        "answer,item\n-0.5,n/a\n12.345,n/b\n7,n/c\n",
        "item,width,height,label,left,top,right,bottom\nn/a,3,2,cell,0,0.5,2,1\n"
            + "n/a,3,2,benign,0,0,1,1\nn/b,3,2,,,,,\n",
        "item,width,height,runs\nn/a,3,2,1 2 3\nn/b,3,2,6\n",
        coco(#"{"image_id":1,"category_id":7,"segmentation":{"size":[2,3],"counts":[1,2,1,1,1]}}"#),
        coco(#"{"image_id":1,"category_id":7,"segmentation":{"size":[2,3],"counts":"121O0"}}"#),
        coco(#"{"image_id":1,"category_id":7,"bbox":[0,0.5,2,1],"iscrowd":0}"#),
        studio(#"{"type":"choices","from_name":"c","value":{"choices":["cell"]}}"#),
        studio(#"{"type":"rating","from_name":"r","value":{"rating":3}}"#),
        studio(#"{"type":"number","from_name":"n","value":{"number":-2.125}}"#),
        studio(
            #"{"type":"rectanglelabels","original_width":400,"original_height":200,"value":"#
                + #"{"x":25,"y":12.5,"width":10.0004,"height":87.5,"rotation":0,"#
                + #""rectanglelabels":["cell"]}}"#),
        brush("0,0,0,24,57,27,252,96,22,255,231,0"),
        brush(
            "0,0,0,24,57,27,249,144,112,0,0,15,240,161,72,15,240,161,69,32,63,194,133,32,7,7,0,0,0,"
                + "7,0,0,0"),
    ]

    private static func brush(_ runs: String) -> String {
        studio(
            #"{"type":"brushlabels","original_width":3,"original_height":2,"value":"#
                + #"{"format":"rle","rle":[\#(runs)],"brushlabels":["cell"]}}"#)
    }

    private static func coco(_ annotation: String) -> String {
        #"{"images":[{"id":1,"file_name":"a.png","width":3,"height":2}],"#
            + "\n" + #""categories":[{"id":7,"name":"cell"}],"# + "\n"
            + #""annotations":[\#(annotation)]}"#
    }

    private static func studio(_ result: String) -> String {
        #"[{"id":1,"data":{"image":"/data/upload/1/0123abcd-a.png","n":3},"annotations":["#
            + "\n" + #"{"id":2,"completed_by":1,"result":[\#(result)]}]}]"#
    }
}
