import Ledger
import TestSupport
import Testing
import Wire

@Suite("Agreements about panels and gold")
struct PanelAgreementTests {
    private struct Change: Sendable, CustomTestStringConvertible {
        /// Nil when the agreement is still good.
        let field: String?
        let name: String
        let make: @Sendable (inout WireAnnotationRule) -> Void

        init(
            _ field: String?, _ name: String,
            _ make: @escaping @Sendable (inout WireAnnotationRule) -> Void
        ) {
            self.field = field
            self.name = name
            self.make = make
        }

        var testDescription: String { "\(field ?? "good"): \(name)" }
    }

    private static let drawn = [
        Change(nil, "as it is") { _ in },
        Change(nil, "drawn from the own site") { $0.panel = "own-site" },
        Change(nil, "without seniors, fee and gold") {
            $0.seniorCredential = ""
            $0.laterFeeMicrotokens = 0
            $0.goldOrganisation = ""
            $0.goldWindow = 0
        },
        Change("waves", "a consortium without waves") { $0.waves = [] },
        Change("waves", "not ascending") { $0.waves = [3, 3] },
        Change("waves", "a wave of nobody") { $0.waves = [0, 3] },
        Change("waves", "nine waves") { $0.waves = Array(1...9) },
        Change("waves", "more than an item bears beside two seniors") { $0.waves = [63] },
        Change(nil, "as many as an item bears") { $0.waves = [62] },
        Change("credential", "no credential") { $0.credential = "" },
        Change("credential", "no name") { $0.credential = "A reader" },
        Change("seniorCredential", "no name") { $0.seniorCredential = "A senior" },
        Change("secretWindow", "no window for the secret") { $0.secretWindow = 0 },
        Change("laterFee", "more than there can be") { $0.laterFeeMicrotokens = 1 << 62 + 1 },
        Change("goldOrganisation", "a reader") { $0.goldOrganisation = "annotator/a" },
        Change("goldWindow", "no window") { $0.goldWindow = 0 },
        Change("goldWindow", "a window without gold") { $0.goldOrganisation = "" },
    ]

    private static let listed = [
        Change("credential", "where readers are listed") { $0.credential = "reader" },
        Change("seniorCredential", "where readers are listed") { $0.seniorCredential = "senior" },
        Change("secretWindow", "where readers are listed") { $0.secretWindow = 1 },
        Change("laterFee", "where readers are listed") { $0.laterFeeMicrotokens = 1 },
        Change(nil, "gold where readers are listed") {
            $0.goldOrganisation = "site/north"
            $0.goldWindow = 1
        },
    ]

    private func fault(_ agreement: WireAgreement, _ change: Change) -> String? {
        var agreement = agreement
        change.make(&agreement.annotation)
        do throws(AgreementFault) {
            try validate(agreement)
            return nil
        } catch { return error.place }
    }

    @Test("drawn panels need all of their fields", arguments: drawn)
    private func drawnPanels(change: Change) {
        #expect(fault(drawnAgreement(), change) == change.field.map { "annotation.\($0)" })
    }

    @Test("listed panels have none of them", arguments: listed)
    private func listedPanels(change: Change) {
        #expect(fault(testAgreement(), change) == change.field.map { "annotation.\($0)" })
    }
}
