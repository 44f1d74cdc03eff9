/// A protobuf message as its fields in the order of the bytes, whatever its schema is.
struct FieldList {
    enum Content {
        case varint(UInt64)
        case fixed([UInt8], wireType: UInt64)
        case bytes([UInt8])
    }

    struct Field {
        var number: UInt64
        var content: Content
    }

    var fields: [Field] = []

    init() {}

    /// - Returns: nil when the bytes are no fields, one after the other.
    init?(_ bytes: [UInt8]) {
        var place = 0
        func readVarint() -> UInt64? {
            var (value, shift) = (UInt64(0), UInt64(0))
            while place < bytes.count, shift < 64 {
                let byte = bytes[place]
                place += 1
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            return nil
        }
        func readBytes(_ count: UInt64) -> [UInt8]? {
            guard count <= UInt64(bytes.count - place) else { return nil }
            defer { place += Int(count) }
            return Array(bytes[place..<place + Int(count)])
        }
        while place < bytes.count {
            guard let tag = readVarint(), (1...64).contains(tag >> 3) else { return nil }
            let content: Content?
            switch tag & 7 {
            case 0: content = readVarint().map(Content.varint)
            case 1: content = readBytes(8).map { .fixed($0, wireType: 1) }
            case 2: content = readVarint().flatMap(readBytes).map(Content.bytes)
            case 5: content = readBytes(4).map { .fixed($0, wireType: 5) }
            default: content = nil
            }
            guard let content else { return nil }
            fields.append(Field(number: tag >> 3, content: content))
        }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for field in fields {
            switch field.content {
            case .varint(let value):
                bytes += varint(field.number << 3) + varint(value)
            case .fixed(let content, let wireType):
                bytes += varint(field.number << 3 | wireType) + content
            case .bytes(let content):
                bytes += varint(field.number << 3 | 2) + varint(UInt64(content.count)) + content
            }
        }
        return bytes
    }

    /// Changes one field, here or in a message within, and keeps all lengths right.
    mutating func mutate(other: Self, depth: Int = 0, _ random: inout FuzzRandom) {
        guard !fields.isEmpty else { return fields = other.fields }
        let place = random.below(fields.count)
        if depth < 6, !random.once(in: 4), case .bytes(let content) = fields[place].content,
            content.count > 1, var inner = FieldList(content)
        {
            let others = other.fields.filter { $0.number == fields[place].number }
            var like = inner
            if !others.isEmpty, case .bytes(let bytes) = others[random.below(others.count)].content,
                let message = FieldList(bytes)
            {
                like = message
            }
            inner.mutate(other: like, depth: depth + 1, &random)
            fields[place].content = .bytes(inner.encoded)
            return
        }
        switch random.below(16) {
        case 0: fields.remove(at: place)
        case 1: fields.insert(fields[place], at: place)
        case 2: fields.swapAt(place, random.below(fields.count))
        case 3:
            fields.append(
                Field(number: UInt64(random.below(40) + 1), content: drawn(&random)))
        case 4: fields[place].content = drawn(&random)
        case 5: fields[place].number = UInt64(random.below(24) + 1)
        case 6, 7:
            // The content of a neighbour: well formed, and in the wrong place.
            let like = fields.filter { isAlike($0.content, fields[place].content) }
            fields[place].content = like[random.below(like.count)].content
        case 8, 9:
            let like = other.fields.filter { $0.number == fields[place].number }
            if !like.isEmpty { fields[place].content = like[random.below(like.count)].content }
        case 10:
            if let field = other.fields.isEmpty
                ? nil : other.fields[random.below(other.fields.count)]
            {
                let index = fields.firstIndex { $0.number > field.number } ?? fields.count
                fields.insert(field, at: index)
            }
        default: fields[place].content = changed(fields[place].content, &random)
        }
    }

    private func isAlike(_ lhs: Content, _ rhs: Content) -> Bool {
        switch (lhs, rhs) {
        case (.varint, .varint): true
        case (.bytes(let lhs), .bytes(let rhs)): lhs.count == rhs.count || lhs.count > 100
        case (.fixed, .fixed): true
        default: false
        }
    }

    private func drawn(_ random: inout FuzzRandom) -> Content {
        switch random.below(5) {
        case 0, 1: .varint(random.integer())
        case 2: .fixed((0..<8).map { _ in random.byte() }, wireType: 1)
        case 3: .fixed((0..<4).map { _ in random.byte() }, wireType: 5)
        default: .bytes((0..<random.below(80)).map { _ in random.byte() })
        }
    }

    private func changed(_ content: Content, _ random: inout FuzzRandom) -> Content {
        switch content {
        case .varint(let value):
            return switch random.below(4) {
            case 0: .varint(value &+ 1)
            case 1: .varint(value &- 1)
            default: .varint(random.integer())
            }
        case .fixed(var bytes, let wireType):
            bytes[random.below(bytes.count)] = random.byte()
            return .fixed(bytes, wireType: wireType)
        case .bytes(var bytes):
            switch random.below(6) {
            case 0: bytes = []
            case 1: bytes = Array(bytes.dropLast(1))
            case 2: bytes.append(random.byte())
            case 3 where !bytes.isEmpty:
                bytes[random.below(bytes.count)] = UInt8(ascii: "a") + UInt8(random.below(26))
            default: ByteMutation.flipBit.apply(to: &bytes, &random)
            }
            return .bytes(bytes)
        }
    }
}
