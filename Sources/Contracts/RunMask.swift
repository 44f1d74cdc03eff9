/// A mask as run lengths: column by column from the upper left, outside first.
///
/// The order of COCO. Only the first run may be empty, so each mask has one spelling.
package struct RunMask: Hashable, Sendable {
    package static let mostRuns = 65_536

    package let size: ImageSize
    package let runs: [UInt32]

    /// - Returns: nil unless the runs fill the image exactly, none but the first is empty, and
    ///   there are at most 65,536.
    package init?(size: ImageSize, runs: [UInt32]) {
        guard (1...Self.mostRuns).contains(runs.count), runs.dropFirst().allSatisfy({ $0 > 0 }),
            runs.reduce(UInt64(0), { $0 + UInt64($1) }) == UInt64(size.pixels)
        else { return nil }
        self.size = size
        self.runs = runs
    }

    /// Runs as other programs write them: any may be empty, neighbours then join.
    ///
    /// - Returns: nil unless the runs fill the image exactly with at most 65,536 runs.
    package init?(size: ImageSize, joining counts: some Sequence<UInt32>) {
        var builder = RunBuilder()
        var (isInside, sum) = (false, UInt64(0))
        for count in counts {
            sum += UInt64(count)
            guard sum <= UInt64(size.pixels) else { return nil }
            builder.append(count, isInside: isInside)
            isInside.toggle()
        }
        self.init(size: size, runs: builder.runs)
    }

    /// - Precondition: `runs` were built to fill the image.
    init(size: ImageSize, built runs: RunBuilder) {
        self.size = size
        self.runs = runs.runs
    }

    /// Pixels inside.
    package var area: UInt64 {
        stride(from: 1, to: runs.count, by: 2).reduce(0) { $0 + UInt64(runs[$1]) }
    }

    /// The smallest box around the pixels inside, in pixels; nil for an empty mask.
    package var bounds: (left: UInt32, top: UInt32, right: UInt32, bottom: UInt32)? {
        var bounds: (left: UInt32, top: UInt32, right: UInt32, bottom: UInt32)?
        for (start, end) in intervals {
            let (first, last) = (start / size.height, (end - 1) / size.height)
            let isWhole = first != last
            let top = isWhole ? 0 : start % size.height
            let bottom = isWhole ? size.height : (end - 1) % size.height + 1
            guard let old = bounds else {
                bounds = (first, top, last + 1, bottom)
                continue
            }
            bounds = (
                min(old.left, first), min(old.top, top), max(old.right, last + 1),
                max(old.bottom, bottom)
            )
        }
        return bounds
    }

    /// Where runs inside begin and end, counted in pixels column by column.
    package var intervals: [(start: UInt32, end: UInt32)] {
        var position: UInt32 = 0
        return runs.enumerated().compactMap { place, length in
            defer { position += length }
            return place.isMultiple(of: 2) ? nil : (position, position + length)
        }
    }

    /// The mask on an image of another size, each pixel from the nearest one here.
    ///
    /// Pixel (x, y) takes (⌊(2x + 1)·w / 2w′⌋, ⌊(2y + 1)·h / 2h′⌋).
    package func fitted(to other: ImageSize) -> Self {
        guard other != size else { return self }
        let intervals = intervals
        var (first, column) = (0, UInt32.max)
        var rows: [(start: UInt32, end: UInt32)] = []
        var builder = RunBuilder()
        for x in 0..<other.width {
            let source = UInt32(
                truncatingIfNeeded: (2 * UInt64(x) + 1) * UInt64(size.width)
                    / (2 * UInt64(other.width)))
            if source != column {
                column = source
                rows = fittedRows(of: source, intervals, &first, height: other.height)
            }
            var position: UInt32 = 0
            for row in rows {
                builder.append(row.start - position, isInside: false)
                builder.append(row.end - row.start, isInside: true)
                position = row.end
            }
            builder.append(other.height - position, isInside: false)
        }
        return Self(size: other, built: builder)
    }

    /// The rows of one column that are inside, on a column of another height.
    ///
    /// - Parameters:
    ///   - column: of this mask.
    ///   - intervals: all of this mask's.
    ///   - first: the first interval that may touch the column; moves on.
    ///   - height: of the other image.
    /// - Returns: ascending, in rows of the other image.
    private func fittedRows(
        of column: UInt32, _ intervals: [(start: UInt32, end: UInt32)], _ first: inout Int,
        height: UInt32
    ) -> [(start: UInt32, end: UInt32)] {
        let begin = column * size.height
        let end = begin + size.height
        while first < intervals.count, intervals[first].end <= begin { first += 1 }
        var rows: [(start: UInt32, end: UInt32)] = []
        for interval in intervals[first...] {
            guard interval.start < end else { break }
            let start = firstRow(from: max(interval.start, begin) - begin, height)
            let stop = firstRow(from: min(interval.end, end) - begin, height)
            if start < stop { rows.append((start, stop)) }
        }
        return rows
    }

    /// The first row of another height whose nearest row here is `row` or later.
    private func firstRow(from row: UInt32, _ height: UInt32) -> UInt32 {
        let (twice, own) = (2 * UInt64(height) * UInt64(row), UInt64(size.height))
        guard twice > own else { return 0 }
        return UInt32(truncatingIfNeeded: (twice - own + 2 * own - 1) / (2 * own))
    }
}

/// Collects runs, joining neighbours of one kind.
struct RunBuilder {
    private(set) var runs: [UInt32] = [0]

    mutating func append(_ length: UInt32, isInside: Bool) {
        guard length > 0 else { return }
        if runs.count.isMultiple(of: 2) == isInside {
            runs[runs.count - 1] += length
        } else {
            runs.append(length)
        }
    }
}
