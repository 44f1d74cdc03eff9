import Foundation
import FuzzProbe
import Fuzzing
import Testing

/// Inputs that promise far more than they bring.
private enum Promise {
    static func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80
            ? [UInt8(value)] : [UInt8(truncatingIfNeeded: value) | 0x80] + varint(value >> 7)
    }

    /// Every field number with a length that does not follow, alone and inside a first field.
    static var messages: [[UInt8]] {
        let lengths: [UInt64] = [
            1 << 20, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max,
        ]
        return (1...20 as ClosedRange<UInt64>).flatMap { number in
            lengths.flatMap { length in
                let field = varint(number << 3 | 2) + varint(length) + [1, 2, 3]
                return [field, [0x0A] + varint(UInt64(field.count)) + field]
            }
        }
    }

    static func safetensors(_ length: UInt64, _ header: String = "", _ bytes: Int = 0) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
            + [UInt8](repeating: 0, count: bytes)
    }

    static var tensors: [[UInt8]] {
        let shapes = [
            "[1099511627776]", "[4611686018427387904,4]", "[2147483648,2147483648,0]",
            "[9223372036854775807]",
        ]
        let headers = shapes.map {
            #"{"a":{"dtype":"F32","shape":\#($0),"data_offsets":[0,9223372036854775804]}}"#
        }
        return [1 << 60, 1 << 63, .max, 1 << 20, (1 << 20) + 1].map { safetensors($0) }
            + headers.map { safetensors(UInt64($0.utf8.count), $0, 4) }
    }

    /// Ten times ten times ten of what an alias stands for.
    static func bomb(_ levels: Int, key: String) -> [UInt8] {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<levels {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        return Array((text + "\(key)\n").utf8)
    }

    static var agreements: [[UInt8]] {
        let last = "*a8"
        return [
            bomb(9, key: "study: \(last)"), bomb(9, key: "? \(last)\n: 1"),
            bomb(9, key: "chain: {? \(last) : 1, ? \(last) : 2}"),
            bomb(9, key: "? {a: \(last)}\n: 1"),
            Array(repeating: UInt8(ascii: "["), count: 60_000),
            Array(repeating: "{a: ", count: 20_000).joined().utf8.map(\.self),
            Array(repeating: "- ", count: 30_000).joined().utf8.map(\.self),
            Array(repeating: "? ", count: 30_000).joined().utf8.map(\.self),
        ]
    }

    static var answers: [[UInt8]] {
        let deep = Array(repeating: UInt8(ascii: "["), count: 60_000)
        let size = #"{"image_id":1,"category_id":7,"segmentation":{"size":[65535,65535],"#
        func coco(_ counts: String, _ side: Int) -> [UInt8] {
            Array(
                (#"{"images":[{"id":1,"file_name":"a","width":\#(side),"height":\#(side)}],"#
                    + #""categories":[{"id":7,"name":"cell"}],"annotations":[\#(size)"#
                    + #""counts":\#(counts)}}]}"#).utf8)
        }
        return [
            deep, Array(#"{"images":"#.utf8) + deep, coco("[4294836225]", 65_535),
            coco("[0,4294836225]", 65_535), coco("[18446744073709551615]", 65_535),
            coco(#""ooooooooooooo""#, 65_535),
        ]
    }
}

/// The growth of the process's peak of memory during a call, in bytes.
private func growth(during body: () -> Void) throws -> Int {
    func status(_ key: String) throws -> Int {
        let text = try String(contentsOf: URL(filePath: "/proc/self/status"), encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(key) })
        return try #require(line.split(separator: " ").compactMap { Int($0) }.first) * 1024
    }
    // The peak is set back to what is held now; without that an earlier test would hide this one.
    try Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
    let before = try status("VmRSS:")
    body()
    return try status("VmHWM:") - before
}

@Suite("Lengths that are not kept", .serialized)
struct LengthTests {
    private static let limit = 8 << 20

    private static func inputs(of target: FuzzTarget) -> [[UInt8]] {
        switch target.name {
        case "safetensors": Promise.tensors
        case "agreement": Promise.agreements
        case "answers": Promise.answers
        default: target.form == .protobuf ? Promise.messages : []
        }
    }

    @Test("nothing is allocated for bytes that did not arrive")
    func allocatesNothing() throws {
        for target in try FuzzTarget.all() {
            let inputs = Self.inputs(of: target)
            guard !inputs.isEmpty else { continue }
            var most: (peak: Int64, largest: Int64) = (0, 0)
            let grown = try growth {
                for input in inputs {
                    probe_begin()
                    let outcome = target.outcome(of: input)
                    let memory = probe_end()
                    most = (max(most.peak, memory.peak), max(most.largest, memory.largest))
                    if case .accepted = outcome {
                        Issue.record("\(target.name) takes \(input.prefix(80))")
                    }
                }
            }
            #expect(most.largest < Self.limit, "\(target.name) asked for it at once")
            #expect(grown < 2 * Self.limit, "\(target.name)")
            print(
                "\(target.name): \(inputs.count) broken promises, at most \(most.largest) bytes "
                    + "asked for at once, \(most.peak) held; peak of memory grew by \(grown)")
        }
    }

    @Test("a line of 100 MB is refused in memory that its own bytes take a few times")
    func longLine() throws {
        let header = Array("item,annotator,label\n".utf8)
        let tables = ["table", "labels", "answers"]
        for target in try FuzzTarget.all() where tables.contains(target.name) {
            for (byte, end) in [(0x61, ""), (0x61, "\n"), (0x2C, "\n")] as [(UInt8, String)] {
                let input =
                    header + [UInt8](repeating: byte, count: 100_000_000) + Array(end.utf8)
                probe_begin()
                let outcome = target.outcome(of: input)
                let memory = probe_end()
                if case .accepted = outcome { Issue.record("\(target.name) takes it") }
                #expect(memory.peak < 3 * Int64(input.count), "\(target.name)")
                print("\(target.name): \(memory.peak) bytes held for a line of 100 MB")
            }
        }
    }
}
