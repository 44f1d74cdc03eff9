import Contracts

/// Why Label Studio's run lengths of a brush are no mask.
enum BrushFault: String, Error {
    case ends = "ends too early"
    case overruns = "overruns the image"
    case size = "is of another image size"
}

/// Label Studio's run lengths: a stream of bits that gives the four colour bytes of each pixel, row
/// by row; the fourth, opacity, is the mask.
///
/// 32 bits: how many bytes; 5: bits of a value − 1; four times 4: bits of a length − 1. Then, until
/// all bytes are there: 1 bit, whether one value repeats; 2 bits: which of the lengths; the length
/// − 1; and the value, or as many values.
///
/// - Parameters:
///   - rle: the stream.
///   - size: of the image.
/// - Returns: run lengths column by column, outside first.
/// - Throws: ``BrushFault``.
func brushCounts(_ rle: [UInt8], size: ImageSize) throws(BrushFault) -> [Int64] {
    var bits = BitReader(bytes: rle)
    let total = try bits.read(32)
    guard UInt64(total) == 4 * UInt64(size.pixels) else { throw .size }
    let valueBits = try bits.read(5) + 1
    var lengthBits: [UInt32] = []
    for _ in 0..<4 { lengthBits.append(try bits.read(4) + 1) }
    var canvas = Canvas(size: size)
    var place: UInt32 = 0
    while place < total {
        let repeats = try bits.read(1) == 1
        let count = try bits.read(lengthBits[Int(bits.read(2))]) + 1
        guard count <= total - place else { throw .overruns }
        if repeats {
            if try bits.read(valueBits) > 0 { canvas.fill(bytes: place..<place + count) }
        } else {
            for offset in 0..<count where try bits.read(valueBits) > 0 {
                canvas.fill(bytes: place + offset..<place + offset + 1)
            }
        }
        place += count
    }
    return canvas.counts
}

/// A mask as Label Studio's run lengths, all four bytes of a pixel alike.
func brushRuns(_ mask: RunMask) -> [UInt8] {
    var bits = BitWriter()
    bits.write(4 * mask.size.pixels, 32)
    bits.write(7, 5)
    for length in brushLengths { bits.write(length - 1, 4) }
    var canvas = Canvas(size: mask.size)
    for interval in mask.intervals { canvas.fill(pixels: interval.start..<interval.end) }
    for (count, isInside) in canvas.rowRuns {
        var rest = 4 * count
        while rest > 0 {
            let part = min(rest, 1 << 16)
            let index = brushLengths.firstIndex { UInt64(part - 1) < 1 << UInt64($0) } ?? 3
            bits.write(1, 1)
            bits.write(UInt32(index), 2)
            bits.write(part - 1, brushLengths[index])
            bits.write(isInside ? 255 : 0, 8)
            rest -= part
        }
    }
    return bits.bytes
}

private let brushLengths: [UInt32] = [3, 4, 8, 16]

/// A bit for each pixel, column by column: between a form by rows and one by columns something
/// has to hold the picture.
private struct Canvas {
    private let size: ImageSize
    private var words: [UInt64]

    init(size: ImageSize) {
        self.size = size
        words = Array(repeating: 0, count: Int(size.pixels) / 64 + 1)
    }

    private subscript(_ pixel: UInt32) -> Bool {
        words[Int(pixel) / 64] >> UInt64(pixel % 64) & 1 == 1
    }

    /// Sets the pixels whose fourth byte is among these, counted row by row.
    mutating func fill(bytes: Range<UInt32>) {
        let first = bytes.lowerBound / 4
        for pixel in first..<(bytes.upperBound + 3) / 4
        where bytes.contains(4 * pixel + 3) {
            let (row, column) = pixel.quotientAndRemainder(dividingBy: size.width)
            fill(pixels: column * size.height + row..<column * size.height + row + 1)
        }
    }

    /// Sets pixels, counted column by column.
    mutating func fill(pixels: Range<UInt32>) {
        for pixel in pixels { words[Int(pixel) / 64] |= 1 << UInt64(pixel % 64) }
    }

    var counts: [Int64] {
        var counts: [Int64] = [0]
        for pixel in 0..<size.pixels {
            if self[pixel] == counts.count.isMultiple(of: 2) {
                counts[counts.count - 1] += 1
            } else {
                counts.append(1)
            }
        }
        return counts
    }

    /// Pixels row by row, as stretches of one kind.
    var rowRuns: [(count: UInt32, isInside: Bool)] {
        var runs: [(count: UInt32, isInside: Bool)] = []
        for row in 0..<size.height {
            for column in 0..<size.width {
                let isInside = self[column * size.height + row]
                if runs.last?.isInside == isInside {
                    runs[runs.count - 1].count += 1
                } else {
                    runs.append((1, isInside))
                }
            }
        }
        return runs
    }
}

private struct BitReader {
    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The next bits, the highest first.
    mutating func read(_ count: UInt32) throws(BrushFault) -> UInt32 {
        guard position + Int(count) <= bytes.count * 8 else { throw .ends }
        var value: UInt32 = 0
        for _ in 0..<count {
            let bit = bytes[position / 8] >> UInt8(7 - position % 8) & 1
            value = value << 1 | UInt32(bit)
            position += 1
        }
        return value
    }
}

private struct BitWriter {
    private(set) var bytes: [UInt8] = []
    private var used = 8

    mutating func write(_ value: UInt32, _ count: UInt32) {
        for place in (0..<count).reversed() {
            if used == 8 {
                bytes.append(0)
                used = 0
            }
            if value >> place & 1 == 1 { bytes[bytes.count - 1] |= 1 << UInt8(7 - used) }
            used += 1
        }
    }
}
