import ArgumentParser
package import Ledger

/// Why a text is no amount to pay.
package enum AmountFault: Error, Hashable, Sendable, CustomStringConvertible {
    case negative(String)
    case notDecimal(String)
    case tooFine(String)
    case tooLarge(String)
    case zero

    package var description: String {
        switch self {
        case .negative(let text): "\"\(text)\" is negative; an amount is above zero"
        case .notDecimal(let text):
            "\"\(text)\" is not a decimal number of tokens such as 12.5"
        case .tooFine(let text):
            "\"\(text)\" has more than six decimals; a microtoken is the smallest amount"
        case .tooLarge(let text):
            "\"\(text)\" is beyond 64 bits of microtokens, 18446744073709.551615 tokens"
        case .zero: "the amount must be above zero"
        }
    }
}

/// Reads an amount of tokens that is to be paid.
package func readAmount(_ text: String) throws(AmountFault) -> TokenAmount {
    if text.hasPrefix("-") { throw .negative(text) }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let isDecimal =
        (1...2).contains(parts.count)
        && parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }
    guard isDecimal else { throw .notDecimal(text) }
    guard parts.count == 1 || parts[1].count <= 6 else { throw .tooFine(text) }
    guard let amount = TokenAmount(tokens: text) else { throw .tooLarge(text) }
    guard amount > .zero else { throw .zero }
    return amount
}

/// Why a text is no amount to pay; nil when it is one.
func amountFault(_ text: String) -> AmountFault? {
    do {
        _ = try readAmount(text)
        return nil
    } catch { return error }
}

/// The amount of an option, refused with its name.
func amount(_ text: String, option: String) throws -> TokenAmount {
    do {
        return try readAmount(text)
    } catch { throw ValidationError("\(option): \(error.description)") }
}

/// Refuses a reference that the contracts would.
func checkReference(_ reference: String, option: String = "--reference") throws {
    guard isIdentifier(reference.utf8) else {
        throw ValidationError("\(option) must be 1 to 64 of a-z 0-9 . _ -")
    }
}
