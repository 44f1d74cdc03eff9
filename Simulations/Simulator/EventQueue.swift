/// A priority queue: earliest first, and at one moment in the order of scheduling.
struct EventQueue<Content> {
    private struct Entry {
        let at: Moment
        let number: UInt64
        let content: Content

        func precedes(_ other: Self) -> Bool { (at, number) < (other.at, other.number) }
    }

    private var heap: [Entry] = []
    private var count: UInt64 = 0

    mutating func add(_ content: Content, at: Moment) {
        count += 1
        heap.append(Entry(at: at, number: count, content: content))
        var place = heap.count - 1
        while place > 0, heap[place].precedes(heap[(place - 1) / 2]) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func next() -> (at: Moment, content: Content)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.at, first.content)
    }

    private mutating func sink() {
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && heap[child].precedes(heap[least]) {
                least = child
            }
            guard least != place else { return }
            heap.swapAt(least, place)
            place = least
        }
    }
}
