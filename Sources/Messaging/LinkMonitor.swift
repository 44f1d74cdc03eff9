import CZeroMQ
import Synchronization

/// What libzmq says of a connection.
package enum LinkEvent: Hashable, Sendable {
    case reached, refused, lost

    /// - Parameter frames: a monitor's message: event (2 bytes), value (4 bytes), then an address.
    package init?(_ frames: [[UInt8]]) {
        guard let event = frames.first, event.count >= 2 else { return nil }
        let number = event.withUnsafeBytes { $0.loadUnaligned(as: UInt16.self) }
        switch Int32(number) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: self = .reached
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: self = .refused
        case ZMQ_EVENT_DISCONNECTED: self = .lost
        default: return nil
        }
    }
}

private let nextMonitor = Atomic<UInt64>(1)

extension RawSocket {
    /// A socket on which libzmq reports what becomes of this one's connection.
    func monitor(_ context: ContextHandle) throws -> RawSocket {
        let number = nextMonitor.wrappingAdd(1, ordering: .relaxed).oldValue
        let address = "inproc://tally.monitor.\(number)"
        let events =
            ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
            | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED
        guard zmq_socket_monitor(handle, address, events) == 0 else {
            throw MessagingError.last("watch the connection to", name)
        }
        let monitor = try RawSocket(context, kind: ZMQ_PAIR, name: name)
        do {
            try monitor.set(ZMQ_LINGER, 0)
            try monitor.connect(address)
        } catch {
            monitor.close()
            throw error
        }
        return monitor
    }
}
