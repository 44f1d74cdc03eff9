import ArgumentParser
import Cryptography
import Foundation
import Node
import Training

/// A chain that is not sound, or a replay that differs.
let findingExit = ExitCode(2)

/// Why a command could not do its work: what, where, and what to do next.
package struct CommandFault: Error, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// An answer that is not one of the protocol's.
func unexpectedAnswer(to request: String) -> CommandFault {
    CommandFault(
        "the answer to \"\(request)\" is none of this protocol; both sides should run one version")
}

/// An error as one sentence for people, never as a dump of a Swift value.
package func sentence(for error: any Error) -> String {
    switch error {
    case let error as CocoaError: return fileSentence(error)
    case CryptographyError.passphraseNeeded:
        return "the private key is encrypted; put its passphrase into TALLY_PASSPHRASE"
    case let error as POSIXError:
        return "the system refused an operation: \(String(cString: strerror(error.code.rawValue)))"
    case is DecodingError, is EncodingError:
        return "an answer of the node is not understood; both sides should run one version"
    case is CancellationError: return "it was interrupted; run the same command again"
    case is TrainingError, is EvaluationError, is SafetensorsError, is RecordError:
        return
            "a model or a record does not fit the agreement (\(error)); run `tally verify --blobs`"
    case let error as any CustomStringConvertible: return oneLine(error.description)
    default:
        return "something failed that this program has no words for (\(type(of: error))); run the "
            + "command again, then `tally verify`"
    }
}

private func fileSentence(_ error: CocoaError) -> String {
    let path = error.filePath ?? error.url?.path
    let reason =
        switch error.code {
        case .fileNoSuchFile, .fileReadNoSuchFile: "is not there; check the path"
        case .fileReadNoPermission, .fileWriteNoPermission:
            "may not be used by this user; check its permissions"
        case .fileWriteOutOfSpace: "could not be written: the disk is full; free space first"
        case .fileWriteFileExists: "exists already; choose another name"
        default: "could not be used: \(oneLine(error.localizedDescription))"
        }
    return "\(path ?? "a file") \(reason)"
}

private func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).joined(separator: " ")
}
