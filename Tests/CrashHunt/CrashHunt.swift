import ArgumentParser
import Deployments
import Foundation

/// Kills and faults against real workers, for as long as wanted.
@main struct CrashHunt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crash-hunt",
        abstract: "Disturb the workers of a training, and check that nothing is lost.",
        discussion: """
            Both commands found a consortium of a coordinator and three sites in a temporary \
            folder, as the end-to-end tests do, and disturb their real processes with a library \
            that is loaded into them (libtally-faults.so; its source says how a phase is told):

            commit  the coordinator makes an accepted envelope or a proposal durable
            upload  a blob is written, synchronised or named, whole or in pieces
            apply   rows of a settled block and its state, or pages folded into the ledger file
            vote    a vote with the block it is for, up to the end of its commit
            close   a transaction that pays out a round, up to the end of its commit
            other   anywhere else, most of the time at rest

            After every training: no acknowledged consent is missing on any node, no settled \
            height was lost, `tally verify` and `tally replay` find nothing in any home (a vote \
            that contradicts a certificate would be found), the tokens are all there, and every \
            round's model has the bits of an undisturbed run.
            """,
        subcommands: [Kills.self, Faults.self])
}

/// A line at once, also into a pipe.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
