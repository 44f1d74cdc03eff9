import Foundation
import Glibc
import Synchronization

/// The input that is being read, in a file that outlives a crash, and a watch for hangs.
///
/// A trap ends the process before anything can be said; the file then holds the input: its length
/// (8 bytes, little-endian) and its bytes. It is removed when a run ends well.
final class FuzzTape: Sendable {
    private static let capacity = 1 << 22

    let path: String
    private let memory: Memory
    /// Nanoseconds of the clock at the beginning of the execution under way; 0 in between.
    private let began = Atomic<UInt64>(0)
    private let isDone = Atomic<Bool>(false)

    /// `@unchecked Sendable`: written by the thread that runs the target alone, and mapped for good.
    private struct Memory: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
    }

    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    init(target: String, limit: Duration) throws {
        path = FileManager.default.temporaryDirectory
            .appending(path: "tally-fuzz-\(target)-\(getpid()).input").path()
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, off_t(Self.capacity)) == 0,
            let pointer = mmap(
                nil, Self.capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            pointer != MAP_FAILED
        else { throw Fault(description: "\(path) cannot be mapped: \(errno)") }
        close(descriptor)
        memory = Memory(
            bytes: UnsafeMutableRawBufferPointer(start: pointer, count: Self.capacity))
        let (path, seconds) = (path, limit.components.seconds)
        Thread.detachNewThread { [weak self] in
            while let tape = self, !tape.isDone.load(ordering: .relaxed) {
                let began = tape.began.load(ordering: .relaxed)
                if began > 0, Self.now() > began + UInt64(seconds) * 1_000_000_000 {
                    FileHandle.standardError.write(
                        Data("\(target) hangs; its input is \(path)\n".utf8))
                    abort()
                }
                usleep(200_000)
            }
        }
    }

    deinit { munmap(memory.bytes.baseAddress, memory.bytes.count) }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    func begin(_ input: [UInt8]) {
        let count = min(input.count, Self.capacity - 8)
        memory.bytes.storeBytes(of: UInt64(count).littleEndian, as: UInt64.self)
        input.withUnsafeBytes { bytes in
            UnsafeMutableRawBufferPointer(rebasing: memory.bytes[8...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
        }
        began.store(Self.now(), ordering: .relaxed)
    }

    /// - Returns: nanoseconds since the beginning.
    func end() -> UInt64 {
        let start = began.exchange(0, ordering: .relaxed)
        return Self.now() - start
    }

    func remove() {
        isDone.store(true, ordering: .relaxed)
        unlink(path)
    }
}

/// The input of a tape that a crash left.
package func input(ofTape bytes: [UInt8]) -> [UInt8]? {
    guard bytes.count >= 8 else { return nil }
    let count = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard count <= UInt64(bytes.count - 8) else { return nil }
    return Array(bytes[8..<8 + Int(count)])
}
