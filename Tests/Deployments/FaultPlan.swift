import Foundation
package import Processes

/// Where in a worker's work on its disk something happens to it, and what.
///
/// The rules by which a phase is told stand at the head of `Tests/FaultInjection/faults.c`.
package struct FaultPlan: Sendable, CustomStringConvertible {
    package enum Phase: String, CaseIterable, Codable, CodingKeyRepresentable, Sendable {
        case any, commit, upload, vote, apply, close, other
    }

    package enum Point: String, CaseIterable, Codable, CodingKeyRepresentable, Sendable {
        case any, call, row, write, sync, rename
    }

    package enum How: Hashable, Sendable, CustomStringConvertible {
        /// SIGKILL before the call, after half of the bytes of a write, or after the call.
        case before, half, after
        /// SIGKILL, and all that was not synchronised is lost, or half of it.
        case lose, tear
        /// The call fails with this errno and does nothing.
        case fails(Int32)

        package var description: String {
            switch self {
            case .before: "killed before"
            case .half: "killed in the middle"
            case .after: "killed after"
            case .lose: "power lost"
            case .tear: "power lost, half of the writes kept"
            case .fails(let code): String(cString: strerror(code))
            }
        }

        fileprivate var word: String {
            switch self {
            case .before: "before"
            case .half: "half"
            case .after: "after"
            case .lose: "lose"
            case .tear: "tear"
            case .fails(let code): "\(code)"
            }
        }
    }

    package var phase = Phase.any
    package var point = Point.call
    /// Which of the points that match, from 1; 0 only records.
    package var number = 0
    package var how = How.before

    package init() {}

    package init(_ phase: Phase, _ point: Point, _ number: Int, _ how: How) {
        (self.phase, self.point, self.number, self.how) = (phase, point, number, how)
    }

    package var description: String { "\(how) at \(phase) \(point) \(number)" }

    /// What a worker needs in its environment to follow the plan.
    ///
    /// - Throws: ``NotBuilt``.
    func variables(home: String, log: String) throws -> [String: String] {
        [
            "LD_PRELOAD": try builtExecutable("libtally-faults.so"), "TALLY_FAULTS_HOME": home,
            "TALLY_FAULTS_LOG": log,
            "TALLY_FAULTS_PHASE": phase.rawValue, "TALLY_FAULTS_POINT": point.rawValue,
            "TALLY_FAULTS_AT": "\(number)", "TALLY_FAULTS_HOW": how.word,
        ]
    }
}

/// One call of a worker that changed a file of its home.
package struct DiskCall: Sendable, CustomStringConvertible {
    package let phase: FaultPlan.Phase
    package let point: FaultPlan.Point
    package let path: String

    package var description: String { "\(point) of \(path) (\(phase))" }

    fileprivate init?(_ words: [Substring]) {
        guard words.count >= 3, let phase = FaultPlan.Phase(rawValue: String(words[0])),
            let point = FaultPlan.Point(rawValue: String(words[1]))
        else { return nil }
        (self.phase, self.point) = (phase, point)
        path = words[2...].joined(separator: " ")
    }
}

/// What a worker under a plan did with its disk.
package struct DiskRecord: Sendable {
    /// Up to the planned point, or to the end when it was not reached.
    package private(set) var before: [DiskCall] = []
    package private(set) var fault: DiskCall?
    package private(set) var after: [DiskCall] = []

    init(log: String) {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ")
            if words.first == "fault" {
                fault = DiskCall(Array(words.dropFirst(2)))
            } else if let call = DiskCall(Array(words.dropFirst())) {
                if fault == nil { before.append(call) } else { after.append(call) }
            }
        }
    }
}

/// A worker that lives under a plan.
package struct PlannedLife: Sendable {
    package let name: String
    package let plan: FaultPlan
    package let process: ChildProcess
    let log: String

    package var record: DiskRecord { DiskRecord(log: log) }
}

extension Deployment {
    /// Starts a worker under a plan, without waiting for it.
    package func launch(_ name: String, _ plan: FaultPlan) throws -> PlannedLife {
        let log = "\(folder)/logs/\(name).calls"
        try? FileManager.default.removeItem(atPath: log)
        let process = try launch(name, variables: plan.variables(home: home(name), log: log))
        return PlannedLife(name: name, plan: plan, process: process, log: log)
    }

    /// Asks for a new patient's consent, for some seconds.
    ///
    /// - Returns: whether the consent was acknowledged.
    func isGranted(_ patient: String, at site: String) async throws -> Bool {
        let command = try begin(
            ["consent", "grant", "--patient", patient, "--purposes", "training", "--no-wait"],
            in: site)
        let deadline = ContinuousClock.now + .seconds(5)
        while command.isRunning, .now < deadline {
            try await Task.sleep(for: .milliseconds(5))
        }
        // Its worker may be gone, and it would wait for an answer.
        try command.killNow()
        return try await command.ended().status == 0
    }
}
