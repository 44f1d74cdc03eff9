import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    @Suite("A study of masks")
    struct MaskStudy {
        /// Two images, one 4 by 3 with a cell, one 3 by 2 with nothing on it.
        private static let records = """
            patient,record,use,readers,contrast,width,height
            patient-0,a,training,north-1 north-2 north-3,0.5,4,3
            patient-0,b,training,north-1 north-2 north-3,0.25,3,2

            """

        private static let agreement: String = {
            let unwanted = ["nearShare", "nearDistance", "maximumSpread", "classes"]
            return Study.agreement.split(separator: "\n", omittingEmptySubsequences: false)
                .filter { line in !unwanted.contains { line.hasPrefix("  \($0):") } }
                .joined(separator: "\n")
                .replacing(
                    "answer: ordinal", with: "answer: masks\n  labels: [cell]\n  agreement: 800"
                )
                .replacing(
                    "features: [width, height, noise]", with: "features: [contrast]"
                )
                .replacing("positiveAbove: 3", with: "positiveAbove: 1")
                .replacing("negativeBelow: 3", with: "negativeBelow: 2")
        }()

        private static func coco(_ counts: String, image: String = "a.png", width: Int = 4)
            -> String
        {
            """
            {"images":[{"id":1,"file_name":"\(image)","width":\(width),"height":3},
            {"id":2,"file_name":"b.png","width":3,"height":2}],
            "categories":[{"id":1,"name":"cell"}],
            "annotations":[{"id":1,"image_id":1,"category_id":1,
            "segmentation":{"size":[3,\(width)],"counts":\(counts)}}]}
            """
        }

        /// A brush on the image of 4 by 3, and nothing on the other.
        private static func studio(_ rows: [[Int]], isCancelled: Bool = false) -> String {
            // 48 bytes of colour: width of a value, of the four lengths, one literal stretch.
            let fields = [
                (48, 32), (7, 5), (2, 4), (3, 4), (7, 4), (15, 4), (0, 1), (3, 2), (47, 16),
            ]
            let colours = rows.flatMap { $0 }.flatMap { [0, 0, 0, 255 * $0] }.map { ($0, 8) }
            let bits = (fields + colours).flatMap { value, width in
                (0..<width).reversed().map { value >> $0 & 1 }
            }
            let bytes = stride(from: 0, to: bits.count, by: 8).map { start in
                (0..<8).reduce(0) { byte, place in
                    let bit = start + place
                    return byte << 1 | (bit < bits.count ? bits[bit] : 0)
                }
            }
            return """
                [{"id":1,"data":{"image":"/data/upload/1/0a1b2c3d-a.png"},"annotations":[
                {"id":7,"completed_by":3,"was_cancelled":\(isCancelled),"result":[
                {"type":"brushlabels","from_name":"brush","original_width":4,"original_height":3,
                "value":{"format":"rle","brushlabels":["cell"],"rle":\(bytes)}}]}]},
                {"id":2,"data":{"image":"/data/upload/1/0a1b2c3d-b.png"},"annotations":[
                {"id":8,"completed_by":3,"was_cancelled":false,"result":[]}]}]
                """
        }

        private func withStudy(
            _ body: @Sendable (Deployment) async throws -> Void
        ) async throws {
            try await withDeployment(under: Self.agreement) { deployment in
                let documents = (1...3).map {
                    "\(deployment.home("north-\($0)"))/north-\($0).member"
                }
                try await deployment.done(["member", "add"] + documents, in: "north")
                let patients = try deployment.file(
                    "patients.csv", "patient,purposes,reward\npatient-0,training,earn\n")
                try await deployment.done(["consent", "grant", patients], in: "north")
                let records = try deployment.file("records.csv", Self.records)
                try await deployment.done(["data", "add", records], in: "north")
                try await body(deployment)
            }
        }

        /// Refused with these words, and nothing was sent.
        private func refused(
            _ deployment: Deployment, _ content: String, _ words: String, in home: String
        ) async throws {
            let before = try await deployment.status(of: "north").transactions
            let file = try deployment.file("bad.json", content)
            let ended = try await deployment.tally("annotate", file, in: home)
            #expect(ended.status == 1 && ended.output.isEmpty, "\(words): \(ended)")
            #expect(ended.errors.contains(words), "\(words): \(ended)")
            #expect(ended.errors.contains("othing was sent"), "\(words): \(ended)")
            #expect(try await deployment.status(of: "north").transactions == before)
        }

        @Test("masks of three programs become a consensus, one of them revealed on a new laptop")
        func formats() async throws {
            try await withStudy { deployment in
                let own = try deployment.file("one.json", Self.coco("[3,2,1,2,4]"))
                let killed = try deployment.begin(["annotate", own], in: "north-1")
                try await eventually("north-1 has committed") {
                    try await deployment.report(
                        WorklistReport.self, "worklist", "annotator/north-1", in: "north"
                    ).items.map(\.state) == ["wait", "wait"]
                }
                try killed.killNow()
                // All that the new computer gets: keys, documents, and which site to ask.
                let manager = FileManager.default
                try manager.createDirectory(
                    atPath: deployment.home("laptop"), withIntermediateDirectories: true)
                for name in ["keys", "north-1.member", "genesis.tally", "site"] {
                    try manager.copyItem(
                        atPath: "\(deployment.home("north-1"))/\(name)",
                        toPath: "\(deployment.home("laptop"))/\(name)")
                }
                try manager.removeItem(atPath: deployment.home("north-1"))

                try await self.refused(
                    deployment, Self.coco("[3,2,1,3,3]"),
                    "north/a was committed with another answer than this", in: "laptop")
                try await self.refused(
                    deployment, Self.coco("[6,2,1,2,4]", width: 5),
                    "north/a is an image of 4×3 pixels, not 5×3", in: "north-2")
                try await self.refused(
                    deployment, Self.coco("[3,2,1,2,4]", image: "c.png"),
                    "c.png is not on the worklist of annotator/north-2", in: "north-2")
                try await self.refused(
                    deployment, Self.coco("\"~\""), "counts is no packed run length", in: "north-2")
                try await self.refused(
                    deployment, Self.coco("[3,2,1,2,5]"),
                    "annotations[0]: its runs hold 13 pixels, the image 12", in: "north-2")
                try await self.refused(
                    deployment, Self.coco("[3,2,NaN,2,4]"), "NaN and Infinity are no numbers",
                    in: "north-2")
                try await self.refused(
                    deployment,
                    Self.studio([[0], [0], [0]].map { $0 + [0, 0, 0] }, isCancelled: true),
                    "the annotation was cancelled", in: "north-3")

                let packed = try deployment.file("two.json", Self.coco("\"32103\""))
                let brush = try deployment.file(
                    "three.json", Self.studio([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]))
                let files = ["laptop": own, "north-2": packed, "north-3": brush]
                let reports = try await together(files.keys.sorted()) { home in
                    try await deployment.report(
                        AnnotateReport.self, "annotate", files[home] ?? "", in: home)
                }
                #expect(reports.map(\.committed) == [0, 2, 2])
                #expect(reports.allSatisfy { $0.revealed == 2 && $0.rejected.isEmpty })
                try await eventually("both items have their consensus") {
                    try await deployment.status(of: "north").items.approved == 2
                }
                try await self.checkExports(of: deployment)
                try await deployment.checkAll()
                try await deployment.stopAll()
            }
        }

        private func checkExports(of deployment: Deployment) async throws {
            func export(_ format: String) async throws -> String {
                let path = "\(deployment.folder)/consensus.\(format)"
                try await deployment.done(
                    ["annotations", "export", "--as", format, "--out", path], in: "north")
                return path
            }
            let table = try String(contentsOfFile: try await export("csv"), encoding: .utf8)
            #expect(
                table == "item,width,height,runs\nnorth/a,4,3,3 2 1 2 4\nnorth/b,3,2,6\n")
            for format in ["coco", "label-studio"] {
                // Another reader's program reads what was written.
                let shown = try await deployment.tally(
                    "annotate", try await export(format), in: "north-2")
                #expect(shown.status == 0, "\(shown)")
                #expect(shown.output.contains("2 done"), "\(shown)")
            }
        }
    }
}
