import Cryptography
import Ledger
import TestSupport
import Testing

/// RFC 6962 section 2.1 word for word: slow, and obviously right.
private enum Definition {
    static func split(_ count: Int) -> Int {
        var power = 1
        while power * 2 < count { power *= 2 }
        return power
    }

    static func node(_ left: Digest, _ right: Digest) -> Digest {
        Digest.sha256([1] + left.bytes + right.bytes)
    }

    /// MTH.
    static func root(_ leaves: [[UInt8]]) -> Digest {
        guard let first = leaves.first else { return Digest.sha256([UInt8]()) }
        guard leaves.count > 1 else { return Digest.sha256([0] + first) }
        let k = split(leaves.count)
        return node(root(Array(leaves[..<k])), root(Array(leaves[k...])))
    }

    /// PATH.
    static func path(_ index: Int, _ leaves: [[UInt8]]) -> [Digest] {
        guard leaves.count > 1 else { return [] }
        let k = split(leaves.count)
        let (left, right) = (Array(leaves[..<k]), Array(leaves[k...]))
        return index < k
            ? path(index, left) + [root(right)] : path(index - k, right) + [root(left)]
    }

    /// On which side of each element of the path the leaf stands; true: the element is the left one.
    static func shape(_ index: Int, _ count: Int) -> [Bool] {
        guard count > 1 else { return [] }
        let k = split(count)
        return index < k ? shape(index, k) + [false] : shape(index - k, count - k) + [true]
    }

    /// SUBPROOF.
    static func consistency(_ old: Int, _ leaves: [[UInt8]], whole: Bool = true) -> [Digest] {
        guard old < leaves.count else { return whole ? [] : [root(leaves)] }
        let k = split(leaves.count)
        let (left, right) = (Array(leaves[..<k]), Array(leaves[k...]))
        return old <= k
            ? consistency(old, left, whole: whole) + [root(right)]
            : consistency(old - k, right, whole: false) + [root(left)]
    }
}

struct MerkleTreeTests {
    /// The inputs of the certificate-transparency reference's own test.
    static let leaves: [[UInt8]] = [
        [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43],
        Array(0x50...0x57), Array(0x60...0x6f),
    ]
    static let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    /// As many leaves as the exhaustive tests go up to, each of its own length.
    static let many = (0..<41).map { [UInt8](repeating: UInt8($0), count: $0 % 5) + [UInt8($0)] }

    func digests(_ hex: [String]) throws -> [Digest] {
        try hex.map { try #require(Digest(hex: $0)) }
    }

    func flipped(_ digest: Digest, _ byte: Int) throws -> Digest {
        var bytes = digest.bytes
        bytes[byte] ^= 0x40
        return try #require(Digest(bytes))
    }

    @Test("roots of the published tree, and of nothing")
    func publishedRoots() throws {
        #expect(
            merkleRoot([]).hex
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        for (size, root) in Self.roots.enumerated() {
            #expect(merkleRoot(Self.leaves.prefix(size + 1).map(leafHash)).hex == root)
        }
    }

    @Test("inclusion paths of the published tree")
    func publishedInclusion() throws {
        let (a, b, c) = (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
        )
        let (d, e) = (
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
        )
        let cases: [(index: Int, size: Int, path: [String])] = [
            (0, 1, []), (0, 8, [a, b, c]), (5, 8, [d, e, Self.roots[3]]), (2, 3, [Self.roots[1]]),
            (1, 5, [Self.roots[0], b, d]),
        ]
        for vector in cases {
            let hashes = Self.leaves.prefix(vector.size).map(leafHash)
            let path = try #require(inclusionProof(of: vector.index, in: hashes))
            #expect(path == (try digests(vector.path)))
            #expect(
                verifiesInclusion(
                    of: hashes[vector.index], at: UInt64(vector.index), size: UInt64(vector.size),
                    path: path, root: try #require(Digest(hex: Self.roots[vector.size - 1]))))
        }
    }

    @Test("consistency proofs of the published tree")
    func publishedConsistency() throws {
        let (a, b, c) = (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
        )
        let (d, e, f) = (
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
        )
        let cases: [(old: Int, new: Int, path: [String])] = [
            (1, 1, []), (1, 8, [a, b, c]), (6, 8, [d, e, Self.roots[3]]), (2, 5, [b, f]),
        ]
        for vector in cases {
            let hashes = Self.leaves.prefix(vector.new).map(leafHash)
            let path = try #require(consistencyProof(from: vector.old, in: hashes))
            #expect(path == (try digests(vector.path)))
            #expect(
                verifiesConsistency(
                    oldSize: UInt64(vector.old),
                    oldRoot: try #require(Digest(hex: Self.roots[vector.old - 1])),
                    newSize: UInt64(vector.new),
                    newRoot: try #require(Digest(hex: Self.roots[vector.new - 1])), path: path))
        }
    }

    @Test("roots, paths and proofs are those of the definition", arguments: 1...40)
    func agreesWithTheDefinition(size: Int) throws {
        let leaves = Array(Self.many.prefix(size))
        let hashes = leaves.map(leafHash)
        let root = Definition.root(leaves)
        #expect(merkleRoot(hashes) == root)
        for index in 0..<size {
            let path = try #require(inclusionProof(of: index, in: hashes))
            #expect(path == Definition.path(index, leaves))
            #expect(
                verifiesInclusion(
                    of: hashes[index], at: UInt64(index), size: UInt64(size), path: path,
                    root: root))
        }
        for old in 1...size {
            let path = try #require(consistencyProof(from: old, in: hashes))
            #expect(path == Definition.consistency(old, leaves))
            #expect(
                verifiesConsistency(
                    oldSize: UInt64(old), oldRoot: merkleRoot(Array(hashes.prefix(old))),
                    newSize: UInt64(size), newRoot: root, path: path))
        }
        #expect(inclusionProof(of: size, in: hashes) == nil)
        #expect(inclusionProof(of: -1, in: hashes) == nil)
        #expect(consistencyProof(from: 0, in: hashes) == nil)
        #expect(consistencyProof(from: size + 1, in: hashes) == nil)
    }

    @Test("an inclusion path with any one thing altered proves nothing", arguments: 1...40)
    func alteredInclusion(size: Int) throws {
        let hashes = Self.many.map(leafHash)
        let own = Array(hashes.prefix(size))
        let root = merkleRoot(own)
        for index in 0..<size {
            let path = try #require(inclusionProof(of: index, in: own))
            func accepts(
                leaf: Digest? = nil, at place: Int? = nil, size other: Int? = nil,
                path changed: [Digest]? = nil, root wrong: Digest? = nil
            ) -> Bool {
                verifiesInclusion(
                    of: leaf ?? own[index], at: UInt64(place ?? index),
                    size: UInt64(other ?? size), path: changed ?? path, root: wrong ?? root)
            }
            for byte in 0..<32 {
                #expect(!accepts(leaf: try flipped(own[index], byte)))
                #expect(!accepts(root: try flipped(root, byte)))
                for place in path.indices {
                    var changed = path
                    changed[place] = try flipped(path[place], byte)
                    #expect(!accepts(path: changed), "size \(size), leaf \(index), byte \(byte)")
                }
            }
            #expect(!accepts(path: path + [root]))
            if !path.isEmpty {
                #expect(!accepts(path: Array(path.dropLast())))
                #expect(!accepts(path: Array(path.dropFirst())))
            }
            for place in 0...41 where place != index { #expect(!accepts(at: place)) }
            for other in 0...41 where other != size {
                // The path alone does not tell sizes of one shape apart; the root of the other
                // size does.
                let sameShape =
                    index < other
                    && Definition.shape(index, other) == Definition.shape(index, size)
                #expect(accepts(size: other) == sameShape)
                #expect(!accepts(size: other, root: merkleRoot(Array(hashes.prefix(other)))))
            }
        }
    }

    @Test("a consistency proof with any one thing altered proves nothing", arguments: 1...40)
    func alteredConsistency(size: Int) throws {
        let hashes = Self.many.map(leafHash)
        let roots = (0...41).map { merkleRoot(Array(hashes.prefix($0))) }
        for old in 1...size {
            let path = try #require(consistencyProof(from: old, in: Array(hashes.prefix(size))))
            func accepts(
                _ oldSize: Int, _ oldRoot: Digest, _ newSize: Int, _ newRoot: Digest,
                _ path: [Digest]
            ) -> Bool {
                verifiesConsistency(
                    oldSize: UInt64(oldSize), oldRoot: oldRoot, newSize: UInt64(newSize),
                    newRoot: newRoot, path: path)
            }
            for byte in 0..<32 {
                #expect(!accepts(old, try flipped(roots[old], byte), size, roots[size], path))
                #expect(!accepts(old, roots[old], size, try flipped(roots[size], byte), path))
                for place in path.indices {
                    var changed = path
                    changed[place] = try flipped(path[place], byte)
                    #expect(!accepts(old, roots[old], size, roots[size], changed))
                }
            }
            #expect(!accepts(old, roots[old], size, roots[size], path + [roots[old]]))
            if !path.isEmpty {
                #expect(!accepts(old, roots[old], size, roots[size], Array(path.dropLast())))
                #expect(!accepts(old, roots[old], size, roots[size], Array(path.dropFirst())))
            }
            for other in 0...size where other != old {
                #expect(!accepts(other, roots[other], size, roots[size], path))
                #expect(!accepts(other, roots[old], size, roots[size], path))
            }
            for other in 0...41 where other != size && path != [] {
                #expect(!accepts(old, roots[old], other, roots[other], path))
            }
        }
    }

    @Test("a stored frontier goes on as if it had never been stored", arguments: 0...40)
    func frontier(size: Int) throws {
        var whole = MerkleFrontier()
        for leaf in Self.many.prefix(size) { whole.append(leafHash(leaf)) }
        #expect(whole.size == UInt64(size))
        #expect(whole.peaks.count == size.nonzeroBitCount)
        #expect(whole.root == Definition.root(Array(Self.many.prefix(size))))
        var restored = try #require(MerkleFrontier(size: whole.size, peaks: whole.peaks))
        let next = leafHash(Self.many[size])
        whole.append(next)
        restored.append(next)
        #expect(restored == whole)
        #expect(restored.root == Definition.root(Array(Self.many.prefix(size + 1))))
        #expect(MerkleFrontier(size: whole.size, peaks: whole.peaks + [next]) == nil)
    }
}
