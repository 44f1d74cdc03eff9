import Foundation
import TestSupport
import Testing
import Training

struct SafetensorsTests {
    /// Written by the Python package safetensors 0.8.0 from numpy arrays: the fields of each tensor
    /// are not in ascending order there, so this file is readable but not canonical.
    static let written =
        """
        20010000000000007b225f5f6d657461646174615f5f223a7b227374756479223a226c756e67206e6f64756c6573\
        227d2c2262696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f6666\
        73657473223a5b302c385d7d2c22656d707479223a7b226474797065223a22463332222c227368617065223a5b30\
        2c335d2c22646174615f6f666673657473223a5b382c385d7d2c226c617965722e776569676874223a7b22647479\
        7065223a22463332222c227368617065223a5b322c335d2c22646174615f6f666673657473223a5b382c33325d7d\
        2c227363616c6172223a7b226474797065223a22463332222c227368617065223a5b5d2c22646174615f6f666673\
        657473223a5b33322c33365d7d7d2020202020200000003f000080bf0000c03f000000c00000803e000000000000\
        4040000000bf0000e040
        """

    func model() throws -> Parameters {
        try Parameters([
            Tensor(name: "scalar", shape: [], values: [7]),
            Tensor(name: "layer.weight", shape: [2, 3], values: [1.5, -2, 0.25, 0, 3, -0.5]),
            Tensor(name: "empty", shape: [0, 3], values: []),
            Tensor(name: "bias", shape: [2], values: [0.5, -1]),
        ])
    }

    /// A file of that header, padded or not, and so many zero bytes.
    func file(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
        var bytes: [UInt8] = []
        let count = length ?? UInt64(header.utf8.count)
        withUnsafeBytes(of: count.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes + Array(header.utf8) + Array(repeating: 0, count: data)
    }

    @Test("reads what the Python package wrote")
    func readsPython() throws {
        let digits = Array(Self.written.utf8)
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
        #expect(bytes.count == 332)
        let found = try Safetensors(decoding: bytes)
        #expect(try found.parameters == model())
        #expect(found.metadata == ["study": "lung nodules"])
    }

    @Test("writes sorted names and fields, padded to eight bytes")
    func canonicalBytes() throws {
        let parameters = try Parameters([
            Tensor(name: "b", shape: [1], values: [1]),
            Tensor(name: "A\"", shape: [1, 1], values: [-0.0]),
        ])
        let bytes = try Safetensors(parameters, metadata: ["k\n": "v", "a": "é"]).encoded()
        let header = #"""
            {"A\"":{"data_offsets":[0,4],"dtype":"F32","shape":[1,1]},\#
            "__metadata__":{"a":"é","k\u000a":"v"},\#
            "b":{"data_offsets":[4,8],"dtype":"F32","shape":[1]}}
            """#
        let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        #expect(bytes.count % 8 == 0)
        #expect(String(decoding: bytes[8..<bytes.count - 8], as: UTF8.self) == padded)
        #expect(bytes.suffix(8) == [0, 0, 0, 0x80, 0, 0, 0x80, 0x3F])
        #expect(bytes.prefix(8) == [UInt8(padded.utf8.count), 0, 0, 0, 0, 0, 0, 0])
        let decoded = try Safetensors(decoding: bytes)
        #expect(decoded.parameters == parameters && decoded.metadata == ["k\n": "v", "a": "é"])
        #expect(try decoded.encoded() == bytes)
    }

    @Test("every bit comes back, also of values that are no numbers", arguments: UInt64(0)..<20)
    func roundTrip(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let tensors = try (0..<Int.random(in: 0...5, using: &random)).map { index in
            let shape = [
                Int.random(in: 0...4, using: &random), Int.random(in: 1...5, using: &random),
            ]
            let values = (0..<shape[0] * shape[1]).map { _ in
                Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
            }
            return try Tensor(name: "t\(index)", shape: shape, values: values)
        }
        let one = try Parameters(tensors)
        let other = try Parameters(tensors.shuffled(using: &random))
        let bytes = try Safetensors(one).encoded()
        #expect(try Safetensors(other).encoded() == bytes)
        let decoded = try Safetensors(decoding: bytes).parameters
        #expect(decoded.hasSameShape(as: one))
        #expect(
            decoded.flat.map(\.bitPattern) == one.flat.map(\.bitPattern), "replay with seed \(seed)"
        )
    }

    static let entry = #"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#

    @Test(
        "hostile headers are refused by name",
        arguments: [
            ("{}", 4, .dataLength(needed: 0, found: 4)),
            (#"{"a":\#(SafetensorsTests.entry)}"#, 3, .dataLength(needed: 4, found: 3)),
            (#"{"a":\#(SafetensorsTests.entry)}"#, 5, .dataLength(needed: 4, found: 5)),
            (
                #"{"a":\#(SafetensorsTests.entry),"a":\#(SafetensorsTests.entry)}"#, 4,
                .duplicateName("a")
            ),
            (
                #"{"a":\#(SafetensorsTests.entry),"\u0061":\#(SafetensorsTests.entry)}"#, 4,
                .duplicateName("a")
            ),
            (
                #"{"a":\#(SafetensorsTests.entry),"b":\#(SafetensorsTests.entry)}"#, 4,
                .notContiguous(tensor: "b", at: 0)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8,
                .notContiguous(tensor: "a", at: 4)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,0]}}"#, 0,
                .shapeMismatch(tensor: "a", shape: [1], bytes: 0)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4,
                .shapeMismatch(tensor: "a", shape: [2], bytes: 4)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,4]}}"#, 4,
                .shapeMismatch(tensor: "a", shape: [0], bytes: 4)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0,
                .shapeMismatch(tensor: "a", shape: [1 << 62, 4], bytes: 0)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0,
                .shapeMismatch(tensor: "a", shape: [1 << 62], bytes: 0)
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4,
                .shapeMismatch(tensor: "a", shape: [1], bytes: .max)
            ),
            (
                #"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#, 4,
                .unsupportedType(tensor: "a", type: "F16")
            ),
            (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, .missingField(tensor: "a")),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4,
                .missingField(tensor: "a")
            ),
            (
                #"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4,
                .unexpectedField(tensor: "a", field: "dtype")
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":"y"}}"#, 4,
                .unexpectedField(tensor: "a", field: "x")
            ),
            (#"{"":\#(SafetensorsTests.entry)}"#, 4, .badName("")),
            (#"{"é":\#(SafetensorsTests.entry)}"#, 4, .badName("é")),
            (#"{"__metadata__":{"a":"b","a":"c"}}"#, 0, .duplicateName("a")),
            (#"{"__metadata__":{"a":1}}"#, 0, .malformedHeader(at: 29)),
            (#"{"a":{"shape":[-1]}}"#, 0, .malformedHeader(at: 23)),
            (#"{"a":{"shape":[1.0]}}"#, 0, .malformedHeader(at: 24)),
            (#"{"a":{"shape":[01]}}"#, 0, .malformedHeader(at: 23)),
            (#"{"a":{"shape":[9223372036854775808]}}"#, 0, .malformedHeader(at: 23)),
            (#"{"a":{"shape":[1,]}}"#, 0, .malformedHeader(at: 25)),
            (#"{"a":\#(SafetensorsTests.entry),}"#, 4, .malformedHeader(at: 62)),
            (#"{"\ud800":\#(SafetensorsTests.entry)}"#, 4, .malformedHeader(at: 11)),
            (#"{"a"#, 0, .malformedHeader(at: 10)),
            ("{\"a\nb\":{}}", 0, .malformedHeader(at: 11)),
            ("{} x", 0, .malformedHeader(at: 11)),
            (" {}", 0, .malformedHeader(at: 8)),
            ("", 0, .malformedHeader(at: 8)),
            ("[]", 0, .malformedHeader(at: 8)),
        ] as [(String, Int, SafetensorsError)])
    func hostileHeaders(header: String, data: Int, expected: SafetensorsError) {
        #expect(throws: expected) { try Safetensors(decoding: file(header, data: data)) }
    }

    @Test("a length is believed only when the bytes are there")
    func hostileLengths() {
        #expect(throws: SafetensorsError.truncated(needed: 8, found: 7)) {
            try Safetensors(decoding: Array(repeating: 0, count: 7))
        }
        #expect(throws: SafetensorsError.truncated(needed: 11, found: 10)) {
            try Safetensors(decoding: file("{}", data: 0, length: 3))
        }
        for length in [1 << 20 + 1, 1 << 63, .max] as [UInt64] {
            #expect(throws: SafetensorsError.headerTooLong(length)) {
                try Safetensors(decoding: file("{}", data: 0, length: length))
            }
        }
        #expect(throws: SafetensorsError.truncated(needed: 8 + 1 << 20, found: 10)) {
            try Safetensors(decoding: file("{}", data: 0, length: 1 << 20))
        }
    }

    @Test("no truncation and no changed byte of the header traps")
    func mutations() throws {
        let bytes = try Safetensors(model(), metadata: ["a": "b"]).encoded()
        for count in 0..<bytes.count {
            #expect(throws: SafetensorsError.self) {
                try Safetensors(decoding: Array(bytes.prefix(count)))
            }
        }
        var random = SplitMix64(seed: 11)
        var refused = 0
        for _ in 0..<20_000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count - 36, using: &random)
                changed[place] = UInt8.random(in: 0...255, using: &random)
            }
            do { _ = try Safetensors(decoding: changed) } catch { refused += 1 }
        }
        #expect(refused > 15_000)
    }

    @Test("names and notes that no reader would take are not written")
    func tooMuchMetadata() throws {
        let notes = ["a": String(repeating: "x", count: 1 << 20)]
        #expect(throws: SafetensorsError.self) {
            try Safetensors(model(), metadata: notes).encoded()
        }
    }
}
