import Commands
import Contracts
import Ledger
import Node
import Testing

extension AnswerFileTests {
    @Test("a table names classes, or has measurements with three decimals at most")
    func tables() throws {
        let classes = try read(
            "item,answer\nn/a,benign\nn/b,odd one\n", .class, ["benign", "odd one"])
        #expect(classes.map(\.answer) == [.grade(1), .grade(2)])
        let measured = try read("answer,item\n-0.5,n/a\n12.345,n/b\n7,n/c\n", .measurement)
        #expect(
            measured.map(\.answer) == [
                .measurement(-500), .measurement(12_345), .measurement(7000),
            ])
        for text in ["nan", "inf", "1e3", "1.2345", ".5", "5.", "", "--1", "99999999999999999"] {
            #expect(
                refusal("item,answer\nn/a,1\nn/b,\(text)\n", .measurement)
                    .hasPrefix("f, line 3: answer must be a decimal number"), "\(text)")
        }
        #expect(
            refusal("item,answer\nn/a,cat\n", .class, ["benign", "malignant"])
                == "f, line 2: answer must be benign, malignant, not \"cat\"")
    }

    @Test("a wide table is read by the reader's own column; an empty cell is no answer")
    func wide() throws {
        let text = "item,north-1,annotator/north-2\nn/a,3,4\nn/b,,5\n"
        let first = try read(text, .ordinal, annotator: "north-1")
        #expect(first.map(\.answer) == [.grade(3)] && first.map(\.name) == ["n/a"])
        let second = try read(text, .ordinal, annotator: "north-2")
        #expect(second.map(\.answer) == [.grade(4), .grade(5)])
        #expect(
            refusal(text, .ordinal, annotator: "north-3")
                == "f, line 1: it has no column \"answer\" and none of north-3's own name")
        #expect(refusal(text, .ordinal).contains("a reader named with --annotator"))
        #expect(
            refusal("item,r\nn/a,9\n", .ordinal, annotator: "r")
                == "f, line 2: answer must be a whole number from 1 to 5, not \"9\"")
    }

    @Test("tables of boxes and masks have a row each, with the image's sides")
    func imageTables() throws {
        let item = try #require(ItemID("north/a"))
        let size = try #require(ImageSize(width: 3, height: 2))
        func table(_ answer: Answer, _ kind: AnswerKind) -> String {
            let entry = ConsensusEntry(item: item, answer: answer, size: size)
            return String(decoding: consensusTable([entry], Self.rule(kind)), as: UTF8.self)
        }
        let box = Box(label: 2, left: 500, top: 0, right: 3000, bottom: 1250)
        let header = "item,width,height,label,left,top,right,bottom\n"
        #expect(
            table(try Self.boxes(3, 2, box), .boxes) == header + "north/a,3,2,2,0.5,0,3,1.25\n")
        #expect(table(try Self.boxes(3, 2), .boxes) == header + "north/a,3,2,,,,,\n")
        #expect(
            table(try Self.mask(3, 2, 1, 2, 3), .masks)
                == "item,width,height,runs\nnorth/a,3,2,1 2 3\n")
    }

    @Test("a table of boxes is refused by the line that is wrong")
    func boxTables() throws {
        func refused(_ rows: String...) -> String {
            let header = "item,width,height,label,left,top,right,bottom"
            return refusal(([header] + rows).joined(separator: "\n") + "\n", .boxes)
        }
        let (first, none) = ("n/a,3,2,1,0,0,1,1", "n/a,3,2,,,,,")
        #expect(refused(first, "n/b,3,2,1,0,0,3,2", "n/a,3,2,1,1,0,2,1") == "no refusal")
        #expect(refused(first, first) == "f, line 3: the same box of n/a stands there twice")
        for rows in [[first, none], [none, first], [none, none]] {
            #expect(
                refused(rows[0], rows[1])
                    == "f, line 3: with line 2 it says of n/a that there is nothing, and more")
        }
        #expect(
            refused(first, "n/a,4,2,1,1,0,2,1")
                == "f, line 3: the image of n/a has another size than in line 2")
        for text in ["0,2", "3,16385", "-3,2", ",", "3.5,2"] {
            #expect(
                refused("n/a,\(text),1,0,0,1,1").hasPrefix(
                    "f, line 2: width and height must be those of the image, 1 to 16384 pixels"))
        }
        #expect(refused("n/a,3,2,6,0,0,1,1").hasPrefix("f, line 2: label must be a whole number"))
        for text in ["nan", "-1", "3.001", "1.2345", "", "4294968"] {
            #expect(
                refused("n/a,3,2,1,0,0,\(text),1").hasPrefix(
                    "f, line 2: right must be 0 to 3 pixels with at most three decimals"))
        }
        for text in ["1,0,1,1", "2,0,1,1", "0,1,1,1", "0,2,1,0"] {
            #expect(
                refused("n/a,3,2,1,\(text)")
                    == "f, line 2: a box must have left below right and top below bottom")
        }
        let many = (1...BoxSet.mostBoxes + 1).map {
            "n/a,3,2,1,0,0,1,\(decimalText(thousandths: Int64($0)))"
        }
        #expect(
            refusal(
                (["item,width,height,label,left,top,right,bottom"] + many)
                    .joined(separator: "\n") + "\n", .boxes)
                == "f: line 2: has 257 boxes; there may be 256")
        #expect(
            refusal("item,answer\nn/a,1\n", .boxes).hasSuffix(
                "it must have item,width,height,label,left,top,right,bottom"))
    }

    @Test("a table of masks is refused by the line that is wrong")
    func maskTables() throws {
        func refused(_ rows: String...) -> String {
            refusal((["item,width,height,runs"] + rows).joined(separator: "\n") + "\n", .masks)
        }
        #expect(refused("n/a,3,2,1 2 3", "n/b,3,2,6") == "no refusal")
        #expect(refused("n/a,3,2,6", "n/a,3,2,6") == "f, line 3: n/a of line 2 stands here again")
        #expect(
            refused("n/a,3,2,1 2 4") == "f: line 2: its runs hold 7 pixels, the image 6")
        #expect(refused("n/a,3,2,8 -2") == "f: line 2: a run of -2 pixels")
        for text in ["nan", "1.5", "1;5", "99999999999999999999"] {
            #expect(
                refused("n/a,3,2,\(text)")
                    == "f, line 2: runs must be whole numbers between spaces, not \"\(text)\"")
        }
        #expect(refused("n/a,3,0,6").hasPrefix("f, line 2: width and height must be those"))
        #expect(refused("n/a,3,2,") == "f: line 2: its runs hold 0 pixels, the image 6")
    }
}
