import Foundation

/// Looks for damage in a write-ahead log that SQLite passes over.
///
/// SQLite takes a log to end before the first frame whose checksum fails: a changed byte there
/// drops commits without a word. A frame of the same generation that commits and is not taken in
/// tells that something was there. After a loss of power the last write may look like that, too.
///
/// - Returns: what is wrong; nil for a log that is whole, empty or not there.
/// - SeeAlso: the file format, https://www.sqlite.org/fileformat2.html#walformat.
package func writeAheadLogFault(ofLedger path: String) -> String? {
    // A log that is being written looks broken for a moment.
    for attempt in 0..<3 {
        guard let fault = fault(inLog: path + "-wal") else { return nil }
        guard attempt < 2 else { return fault }
        Thread.sleep(forTimeInterval: 0.05)
    }
    return nil
}

private let headerSize = 32
private let frameHeaderSize = 24

private func fault(inLog path: String) -> String? {
    guard let log = try? Data(contentsOf: URL(filePath: path)), log.count >= headerSize else {
        return nil
    }
    return log.withUnsafeBytes { log in
        func word(_ place: Int) -> UInt32 {
            UInt32(bigEndian: log.loadUnaligned(fromByteOffset: place, as: UInt32.self))
        }
        let magic = word(0)
        let pageSize = Int(word(8))
        var sum = Checksum(isBigEndian: magic & 1 == 1)
        sum.add(log[0..<24])
        guard magic & ~1 == 0x377F_0682, (512...65_536).contains(pageSize),
            sum.first == word(24), sum.second == word(28)
        else { return "the header is damaged, so that nothing in the log counts" }
        let salts = (word(16), word(20))
        let frameSize = frameHeaderSize + pageSize
        var isWhole = true
        for (number, start) in stride(
            from: headerSize, through: log.count - frameSize, by: frameSize
        ).enumerated() {
            let isOfThisLog = (word(start + 8), word(start + 12)) == salts
            if isWhole {
                sum.add(log[start..<start + 8])
                sum.add(log[start + frameHeaderSize..<start + frameSize])
                isWhole =
                    isOfThisLog && sum.first == word(start + 16) && sum.second == word(start + 20)
            }
            if !isWhole, isOfThisLog, word(start + 4) != 0 {
                return "the commit in frame \(number + 1) does not count, for it or a frame before "
                    + "it is damaged; restore the file, or start the worker if the power failed"
            }
        }
        return nil
    }
}

/// The running checksum of a write-ahead log, over pairs of 32-bit words.
private struct Checksum {
    let isBigEndian: Bool
    private(set) var first: UInt32 = 0
    private(set) var second: UInt32 = 0

    init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

    mutating func add(_ bytes: Slice<UnsafeRawBufferPointer>) {
        let memory = UnsafeRawBufferPointer(rebasing: bytes)
        for place in stride(from: 0, to: memory.count, by: 8) {
            first &+= word(memory, place) &+ second
            second &+= word(memory, place + 4) &+ first
        }
    }

    private func word(_ memory: UnsafeRawBufferPointer, _ place: Int) -> UInt32 {
        let value = memory.loadUnaligned(fromByteOffset: place, as: UInt32.self)
        return isBigEndian ? UInt32(bigEndian: value) : UInt32(littleEndian: value)
    }
}
