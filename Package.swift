// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// A room: a library target that imports lower floors only.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The tests of one room; all of them share `TestSupport`.
func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.byName(name: name), "TestSupport"] + dependencies,
        swiftSettings: settings)
}

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let collections = Target.Dependency.product(name: "Collections", package: "swift-collections")
let csv = Target.Dependency.product(name: "SwiftCSV", package: "SwiftCSV")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let unixSignals = Target.Dependency.product(
    name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "tally",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "tally", targets: ["tally"]),
        // For the crash tests, which load it into workers.
        .library(name: "tally-faults", type: .dynamic, targets: ["FaultInjection"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", exact: "0.10.0"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CZeroMQ", pkgConfig: "libzmq", providers: [.apt(["libzmq3-dev"])]),
        room("Wire", [protobuf]),
        room("Cryptography", ["COpenSSL"]),
        room("Ledger", ["Cryptography", "Wire"]),
        room("Contracts", ["Cryptography", "Ledger", "Wire"]),
        room("Training", ["Cryptography", "Ledger"]),
        room("Federation", ["Contracts", "Cryptography", "Ledger", "Training", "Wire"]),
        room("Replay", ["Contracts", "Cryptography", "Ledger", "Training", "Wire"]),
        room("Messaging", ["Cryptography", "CZeroMQ", logging]),
        room("Storage", ["Contracts", "Cryptography", "Ledger", "Wire", grdb]),
        room(
            "Node",
            [
                "Contracts", "Cryptography", "Federation", "Ledger", "Messaging", "Replay",
                "Storage", "Training", "Wire", lifecycle, logging, unixSignals,
            ]),
        room(
            "Commands",
            [
                "Contracts", "Cryptography", "Federation", "Ledger", "Messaging", "Node",
                "Replay", "Simulator", "Storage", "Training", "Wire", argumentParser, csv,
                lifecycle, logging, unixSignals, yams,
            ]),
        .target(
            name: "Simulator",
            dependencies: [
                "Contracts", "Cryptography", "Federation", "Ledger", "Replay", "Training", "Wire",
            ],
            path: "Simulations/Simulator", swiftSettings: settings),
        .executableTarget(
            name: "tally", dependencies: ["Commands"], path: "Sources/Tool",
            swiftSettings: settings),
        .target(
            name: "LungNodules", dependencies: ["Cryptography", csv],
            path: "Simulations/LungNodules/Preparation", swiftSettings: settings),
        .executableTarget(
            name: "lung-nodules", dependencies: ["LungNodules", argumentParser],
            path: "Simulations/LungNodules/Tool", swiftSettings: settings),
        .systemLibrary(name: "CSpawn", path: "Tests/CSpawn"),
        .target(
            name: "Processes", dependencies: ["CSpawn"], path: "Tests/Processes",
            swiftSettings: settings),
        .target(name: "FaultInjection", path: "Tests/FaultInjection"),
        .target(
            name: "Deployments",
            dependencies: [
                "Contracts", "Cryptography", "Ledger", "Processes", "Storage", "TestSupport",
                "Wire",
            ],
            path: "Tests/Deployments", swiftSettings: settings),
        .executableTarget(
            name: "label-benchmark", dependencies: ["Contracts", "Cryptography", argumentParser],
            path: "Simulations/Benchmarks/Labels", swiftSettings: settings),
        .executableTarget(
            name: "ledger-benchmark",
            dependencies: [
                "tally", "Cryptography", "Ledger", "Node", "Processes", "TestSupport", "Wire",
                argumentParser,
            ],
            path: "Simulations/Benchmarks/Ledger", swiftSettings: settings),
        .target(
            name: "SiteGames",
            dependencies: [
                "Contracts", "Cryptography", "Ledger", "Replay", "TestSupport", "Training", "Wire",
            ],
            path: "Simulations/Attacks/Games", swiftSettings: settings),
        .executableTarget(
            name: "attacks",
            dependencies: ["Commands", "Ledger", "SiteGames", "Wire", argumentParser],
            path: "Simulations/Attacks/Tool", swiftSettings: settings),
        .executableTarget(
            name: "incentives",
            dependencies: [
                "Contracts", "Cryptography", "Ledger", "TestSupport", "Wire", argumentParser,
            ],
            path: "Simulations/Incentives", swiftSettings: settings),
        .target(
            name: "SecondOpinion", dependencies: ["Processes"], path: "Tests/SecondOpinion",
            swiftSettings: settings),
        .target(
            name: "TestSupport",
            dependencies: [
                "Contracts", "Cryptography", "Federation", "Ledger", "Replay", "Storage",
                "Training", "Wire",
            ],
            path: "Tests/TestSupport", swiftSettings: settings),
        .target(name: "FuzzProbe", path: "Tests/FuzzProbe"),
        .target(
            name: "Fuzzing",
            dependencies: [
                "Commands", "Contracts", "Cryptography", "FuzzProbe", "Ledger",
                "Messaging", "TestSupport", "Training", "Wire",
            ],
            path: "Tests/Fuzzing", swiftSettings: settings),
        tests(
            of: "Fuzzing",
            [
                "CZeroMQ", "Cryptography", "FuzzProbe", "Ledger", "Messaging", "Processes", "Wire",
                "fuzz", logging,
            ]),
        .executableTarget(
            name: "fuzz", dependencies: ["Fuzzing", argumentParser], path: "Tests/FuzzHunt",
            exclude: ["coverage", "parsers.json"], swiftSettings: settings),
        tests(of: "Cryptography"),
        tests(of: "Ledger", ["Cryptography", "SecondOpinion", "Wire"]),
        tests(of: "Contracts", ["Cryptography", "Ledger", "Wire"]),
        tests(of: "Federation", ["Contracts", "Cryptography", "Ledger", "Wire"]),
        tests(of: "Training", ["Cryptography", "Ledger"]),
        tests(of: "Messaging", ["Cryptography", "CZeroMQ", logging]),
        tests(
            of: "Replay",
            [
                "Contracts", "Cryptography", "Federation", "Ledger", "Messaging", "Node",
                "SecondOpinion", "Storage", "Training", "Wire", grdb, logging,
            ]),
        tests(
            of: "Storage", ["Contracts", "Cryptography", "Federation", "Ledger", "Wire", grdb]),
        tests(
            of: "Node",
            [
                "Contracts", "Cryptography", "Federation", "Ledger", "Messaging", "Processes",
                "Storage", "Wire", logging,
            ]),
        tests(
            of: "Commands",
            [
                "Contracts", "Cryptography", "Federation", "Ledger", "Node", "SecondOpinion",
                "Storage", "Training", "Wire", argumentParser,
            ]),
        tests(of: "Simulator", ["tally", "Cryptography", "Processes"]),
        tests(of: "LungNodules"),
        tests(of: "SiteGames", ["Commands", "Ledger", "Wire"]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "tally", "Contracts", "Cryptography", "Deployments", "Federation", "Ledger",
                "Messaging", "Node", "Processes", "Storage", "TestSupport", "Wire", logging,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "crash-hunt",
            dependencies: ["tally", "FaultInjection", "Deployments", argumentParser],
            path: "Tests/CrashHunt", swiftSettings: settings),
        .executableTarget(
            name: "blob-peer",
            dependencies: [
                "CZeroMQ", "Cryptography", "Messaging", "Node", "Processes", "Storage", "Wire",
                argumentParser, logging,
            ],
            path: "Tests/BlobPeer", swiftSettings: settings),
    ]
)
