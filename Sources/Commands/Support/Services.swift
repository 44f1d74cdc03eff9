import ArgumentParser
import Logging
import Node

/// How much a service says on stderr.
enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case trace, debug, info, notice, warning, error, critical

    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

/// The options of a service.
struct ServiceOptions: ParsableArguments {
    @OptionGroup var homeOptions: HomeOptions
    @Option(
        help: "How much to log on stderr: trace, debug, info, notice, warning, error, critical.")
    var logLevel: LogLevel = .info

    var logger: Logger {
        var logger = Logger(label: "tally") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel.level
        return logger
    }
}
