import Cryptography
import Deployments
import Foundation
import Processes
import Testing

extension EndToEnd {
    @Suite("An undisturbed run")
    struct Undisturbed {
        @Test("all homes hold one sound chain, one set of models, and all the tokens")
        func agreement() async throws {
            let prepared = try #require(Prepared.current)
            let expected = try await prepared.undisturbed()
            #expect(expected.state == "finished" && expected.closed == Prepared.rounds)
            #expect(expected.rounds.allSatisfy { $0.complete && $0.rollCall.count == 3 })
            #expect(Set(expected.rounds.map(\.model)).count == Prepared.rounds)
            #expect(try #require(expected.rounds.last?.auc) > 0.9)
            try await withDeployment(.trained) { deployment in
                try await deployment.checkAllOffline(expected)
            }
        }

        @Test("the items come out as the answers say")
        func outcomes() async throws {
            try await withDeployment(.annotated) { deployment in
                let records = Deployment.sites.flatMap(Study.records)
                let disputed = records.count { $0.grades == [1, 3, 5] }
                for name in Deployment.nodes {
                    let items = try await deployment.status(of: name).items
                    #expect(items.open == 0 && items.tooFew == 0)
                    #expect(items.disputed == disputed)
                    #expect(items.approved == records.count - disputed)
                }
            }
        }

        @Test("an exported model is the blob that the chain names, and Python opens it")
        func export() async throws {
            let prepared = try #require(Prepared.current)
            let rounds = try await prepared.undisturbed().rounds
            try await withDeployment(.trained) { deployment in
                let folder = "\(deployment.folder)/models"
                let models = try await deployment.report(
                    ExportReport.self, "model", "export", "--all", folder, in: "west"
                ).models
                #expect(models.map(\.model) == rounds.map(\.model))
                for model in models {
                    let bytes = try Data(contentsOf: URL(filePath: model.file))
                    #expect(Digest.sha256([UInt8](bytes)).hex == model.model)
                }
                try await openWithPython(try #require(models.last).file)
            }
        }

        private func openWithPython(_ file: String) async throws {
            guard try await python("import safetensors, numpy").status == 0 else {
                print("skipped: python3 with the packages safetensors and numpy is not installed")
                return
            }
            let ended = try await python(
                """
                import sys
                from safetensors import safe_open
                with safe_open(sys.argv[1], framework="np") as model:
                    tensors = {name: model.get_tensor(name) for name in model.keys()}
                values = sum(t.size for t in tensors.values())
                kinds = {str(t.dtype) for t in tensors.values()}
                print(values, *kinds)
                """, file)
            #expect(ended.status == 0)
            // One weight a feature, and the bias.
            #expect(ended.output == "\(Study.features.count + 1) float32\n")
        }

        private func python(_ arguments: String...) async throws -> Ended {
            try await ChildProcess("/usr/bin/env", ["python3", "-c"] + arguments).ended()
        }
    }
}

extension Deployment {
    /// What ``checkAll(sourceLocation:)`` checks, and the models of every round on every home.
    fileprivate func checkAllOffline(_ expected: RoundsReport) async throws {
        try await checkAll()
        for name in Self.nodes {
            let rounds = try #require(try await rounds(in: name))
            #expect(rounds.rounds.map(\.model) == expected.rounds.map(\.model))
            let replayed = try await report(ReplayReport.self, "replay", in: name)
            #expect(replayed.identical == true)
            #expect(replayed.rounds.map(\.model) == expected.rounds.map(\.model))
            #expect(replayed.rounds.allSatisfy { $0.identical == true })
        }
    }
}
