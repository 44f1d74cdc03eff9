/// Protobuf written by hand, so that tests can write what no encoder would.
enum RawMessage {
    static func varint(_ value: UInt64, padding: Int = 0) -> [UInt8] {
        var (rest, bytes) = (value, [UInt8]())
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        guard padding > 0 else { return bytes }
        bytes[bytes.count - 1] |= 0x80
        return bytes + [UInt8](repeating: 0x80, count: padding - 1) + [0]
    }

    static func number(_ field: UInt64, _ value: UInt64, padding: Int = 0) -> [UInt8] {
        varint(field << 3) + varint(value, padding: padding)
    }

    static func bytes(_ field: UInt64, _ value: [UInt8], padding: Int = 0) -> [UInt8] {
        varint(field << 3 | 2) + varint(UInt64(value.count), padding: padding) + value
    }
}
