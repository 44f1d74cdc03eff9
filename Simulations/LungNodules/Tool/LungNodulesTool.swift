import ArgumentParser
import Foundation
import LungNodules

@main
struct LungNodulesTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lung-nodules",
        abstract: "A hospital's own preparation of the lung nodule readings.",
        subcommands: [Prepare.self])
}

struct Prepare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Divide the raw table among three hospitals and their twelve seats.",
        discussion: """
            Writes DIR/<hospital>/records.csv, patients.csv and readings/<seat>.csv for north, \
            east and west. A seat is a place at a hospital's reading desk, not a person.
            """)

    @Option(help: ArgumentHelp("The raw table, readings.csv.", valueName: "file"))
    var readings: String

    @Option(help: ArgumentHelp("The folder to make.", valueName: "dir"))
    var out: String

    func run() throws {
        let tables = try prepare(
            table: URL(fileURLWithPath: readings),
            folder: URL(fileURLWithPath: out, isDirectory: true))
        for table in tables { print(table.summary) }
    }
}
