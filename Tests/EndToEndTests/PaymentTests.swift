import Deployments
import Foundation
import Processes
import Testing

private struct SupplySheet: Decodable {
    let issued: String
    let held: String
    let balanced: Bool
    let revenue: String
    let redeemed: String
}

private struct StatementSheet: Decodable {
    struct Line: Decodable {
        let cause: String
        let rule: String
        let amount: String
        let arithmetic: String
    }

    let postings: [Line]
    let closing: String
}

private struct Redemptions: Decodable {
    struct Entry: Decodable {
        let request: String
        let state: String
        let account: String
    }

    let redemptions: [Entry]
}

private struct ClaimKey: Decodable { let key: String }

private struct PatientConsent: Decodable { let patient: String }

private struct WhatIf: Decodable {
    struct Row: Decodable {
        let name: String
        let difference: String
    }

    let roles: [Row]
    let changedOutcomes: Int
}

extension EndToEnd {
    @Suite("Payments", .timeLimit(.minutes(5)))
    struct Payments {
        private func refused(
            _ deployment: Deployment, _ arguments: [String], in home: String, status: Int32 = 1,
            _ words: String
        ) async throws {
            let ended = try await deployment.begin(arguments, in: home).ended()
            #expect(ended.status == status, "\(arguments): \(ended)")
            #expect((ended.output + ended.errors).contains(words), "\(arguments): \(ended)")
        }

        private func supply(_ deployment: Deployment) async throws -> SupplySheet {
            try await deployment.report(SupplySheet.self, "supply", in: "north")
        }

        @Test("only who founded as treasurer posts income: a site's own treasurer is not taken")
        func ownTreasurer() async throws {
            try await withDeployment(.trained) { deployment in
                try await deployment.startAll()
                func enrol(_ name: String, _ role: String) async throws -> [String] {
                    let home = "mine-\(name)"
                    try await deployment.done(
                        ["key", "new", "--name", name, "--role", role], in: home)
                    return ["member", "add", "\(deployment.home(home))/\(name).member"]
                }
                for (name, role) in [("office", "treasurer"), ("model-team", "developer")] {
                    try await refused(
                        deployment, try await enrol(name, role), in: "west",
                        "the agreement names this account")
                }
                try await deployment.done(try await enrol("other", "treasurer"), in: "west")
                try await deployment.stopAll()
                try await deployment.checkAll()
            }
        }

        @Test("transfers, redemptions and claims move money once, and what is bad posts nothing")
        func payments() async throws {
            try await withDeployment(.trained) { deployment in
                try await deployment.startAll()
                let before = try await supply(deployment)
                for (amount, words) in [
                    ("0.1234567", "more than six decimals"), ("-5", "negative"),
                    ("99999999999999", "beyond 64 bits"), ("0", "above zero"), ("1e3", "decimal"),
                ] {
                    try await refused(
                        deployment, ["transfer", "site/east", "--amount", amount], in: "north",
                        status: 64, words)
                }
                let transfer = [
                    "transfer", "site/east", "--amount", "5", "--reference", "invoice-1",
                ]
                try await deployment.done(transfer, in: "north")
                try await refused(deployment, transfer, in: "north", "is on the ledger already")
                try await refused(
                    deployment, ["transfer", "site/east", "--amount", "100000"], in: "north",
                    "holds less than is needed: site/north has ")

                for _ in 1...2 {
                    try await deployment.done(["redeem", "request", "--amount", "7"], in: "north")
                }
                let open = try await deployment.report(
                    Redemptions.self, "redeem", "list", in: "treasurer"
                ).redemptions
                #expect(open.map(\.state) == ["open", "open"])
                let pay = ["redeem", "pay", open[0].request, "--reference", "bank-1"]
                try await refused(deployment, pay, in: "east", "not the treasurer")
                try await refused(deployment, pay, in: "treasurer", "has not accepted")
                for request in open.map(\.request) {
                    try await deployment.done(["redeem", "accept", request], in: "treasurer")
                }
                try await refused(
                    deployment, ["redeem", "cancel", open[0].request], in: "north",
                    "it alone can give it up")
                try await deployment.done(pay, in: "treasurer")
                try await refused(
                    deployment, ["redeem", "pay", open[1].request, "--reference", "bank-1"],
                    in: "treasurer", "is on the ledger already")
                let states = try await deployment.report(
                    Redemptions.self, "redeem", "list", in: "north"
                ).redemptions.map(\.state)
                #expect(states == ["paid", "accepted"])
                let after = try await supply(deployment)
                #expect(after.balanced && after.redeemed == "7.000000")
                #expect(before.issued == "1000000.000000" && after.issued == "999993.000000")

                try await claim(deployment)
                try await deployment.stopAll()
                try await deployment.checkAll()
            }
        }

        /// The second patient of north claims all it earned; a wrong key gets nothing.
        private func claim(_ deployment: Deployment) async throws {
            let key = "\(deployment.folder)/claim.pem"
            let other = "\(deployment.folder)/other.pem"
            func newKey(_ file: String) async throws -> String {
                let ended = try await startTally(
                    ["claim", "key", file, "--format", "json"], output: file + "-key"
                ).ended()
                return try ClaimKey(json: ended.output).key
            }
            let named = try await newKey(key)
            _ = try await newKey(other)
            try await deployment.done(
                ["claim", "register", "--patient", Study.patient(1), "--key", named], in: "north")
            let patient = try await deployment.report(
                PatientConsent.self, "consent", "show", Study.patient(1), in: "north"
            ).patient
            let earned = try await deployment.report(
                BalanceReport.self, "balance", "patient/\(patient)", in: "north"
            ).available
            #expect(earned != "0.000000")
            let take = ["claim", "take", patient, "--to", "treasurer/office", "--key"]
            try await refused(deployment, take + [other], in: "north", "not the one that was set")
            try await deployment.done(take + [key], in: "north")
            let held = try await deployment.report(
                BalanceReport.self, "balance", "treasurer/office", in: "north")
            #expect(held.available == earned)
        }

        @Test(
            "income of a run that began with another's model reaches the other's contributors, too")
        func derived() async throws {
            let prepared = try #require(Prepared.current)
            let rounds = try await prepared.undisturbed().rounds
            let model = try #require(rounds.last?.model)
            try await withDeployment(.trained) { deployment in
                try await deployment.startAll()
                let coordinator = Deployment.coordinator
                try await refused(
                    deployment,
                    ["run", "start", "--from", String(repeating: "0", count: 64)],
                    in: coordinator, "no round on the chain made")
                try await refused(
                    deployment, ["run", "start", "--rounds", "21"], in: coordinator,
                    "allows 20 rounds")
                try await deployment.done(
                    ["run", "start", "--from", model, "--rounds", "1", "--wait"],
                    in: coordinator)
                let run = try await deployment.report(RoundsReport.self, "rounds", in: "north")
                #expect(run.run == 2 && run.state == "finished" && run.model != model)
                let lineage = try await deployment.report(
                    LineageReport.self, "lineage", run.model, in: "north")
                #expect(
                    lineage.ancestors.prefix(rounds.count).map(\.model)
                        == rounds.map(\.model).reversed())
                try await deployment.done(
                    [
                        "revenue", "post", "--model", run.model, "--amount", "5000",
                        "--reference", "sale-2",
                    ], in: "treasurer")
                let statement = try await deployment.report(
                    StatementSheet.self, "statement", "developer/model-team", in: "north")
                // Readers have no weight in so small a study, so 1,500 of 7,000 points go to the only
                // developer: of 80 % for run 2, then of 20 % for run 1.
                let paid = statement.postings.filter { $0.rule == "revenue/1" }.map(\.amount)
                #expect(paid == ["857.142857", "214.285715"])
                try await deployment.stopAll()
                try await deployment.checkAll()
            }
        }

        @Test("income reaches all who contributed; every line of a statement can be proven")
        func revenue() async throws {
            let prepared = try #require(Prepared.current)
            let model = try await prepared.undisturbed().model
            try await withDeployment(.trained) { deployment in
                try await deployment.startAll()
                func post(_ model: String, _ reference: String) -> [String] {
                    [
                        "revenue", "post", "--model", model, "--amount", "5000", "--reference",
                        reference,
                    ]
                }
                let nothing = String(repeating: "0", count: 64)
                try await refused(
                    deployment, post(nothing, "sale-1"), in: "treasurer", "no such model")
                try await deployment.done(post(model, "sale-1"), in: "treasurer")
                try await refused(
                    deployment, post(model, "sale-1"), in: "treasurer", "is on the ledger already")
                let sheet = try await supply(deployment)
                #expect(sheet.balanced && sheet.revenue == "5000.000000")
                #expect(sheet.issued == "1005000.000000")

                let statement = try await deployment.report(
                    StatementSheet.self, "statement", "site/north", in: "north")
                let line = try #require(statement.postings.last { $0.rule == "revenue/1" })
                #expect(statement.postings.allSatisfy { !$0.arithmetic.isEmpty })
                let proof = "\(deployment.folder)/receipt.tally"
                try await deployment.done(["receipt", line.cause, "--out", proof], in: "north")
                let checked = try await deployment.done(["receipt", "check", proof], in: "north")
                #expect(checked.output.contains("revenue.post"))

                let policy = try deployment.file(
                    "policy.yaml",
                    Study.agreement.replacing("patients: 4000", with: "patients: 3000")
                        .replacing("developers: 1500}", with: "developers: 2500}"))
                let whatIf = try await deployment.report(
                    WhatIf.self, "policy", "what-if", policy, in: "north")
                #expect(whatIf.changedOutcomes == 0)
                let gains = Dictionary(
                    whatIf.roles.map { ($0.name, $0.difference) },
                    uniquingKeysWith: { first, _ in first })
                #expect(gains["developer"]?.hasPrefix("+") == true)
                #expect(gains["patient"]?.hasPrefix("-") == true)
                let bad = try deployment.file(
                    "bad.yaml", Study.agreement.replacing("patients: 4000", with: "patients: 4001"))
                try await refused(
                    deployment, ["policy", "what-if", bad], in: "north", "10001 basis points")
                try await deployment.stopAll()
                try await deployment.checkAll()
            }
        }
    }
}
