import Cryptography
import Wire

/// The terms that a settlement proof hands over from one to the next, checked from genesis.
struct ProvenTerms {
    private let network: NetworkID
    /// Up to the newest block that was followed.
    private(set) var history: TermHistory
    /// First block of the newest term; nil in term 1.
    private var first: SignedHeader?
    /// Second block of the newest term.
    private var second: SignedHeader?
    /// The sets from which the second block needs a quorum each.
    private var certifyingSecond: [VoterSet] = []
    /// Hashes of the first blocks of the terms after the first.
    private var firsts: [Term: Digest] = [:]

    init(genesis: Genesis) {
        network = genesis.network
        history = TermHistory(genesis: genesis)
    }

    /// Checks a hand-over to the next term.
    mutating func follow(_ link: WireTermLink) throws(ProofFault) {
        let opening: Opening
        do {
            opening = try Opening(strictly: [UInt8](link.opening), network: network)
        } catch { throw .badPart("opening", "\(error)") }
        let term = opening.decision.term
        let (parent, hash) = try stand(on: link, openedFor: term)
        do {
            try opening.verify(above: parent, inForce: history.inForce, network: network)
        } catch { throw .badTerm(term, "\(error)") }
        let rules = history.rules(opening: opening, firstHeight: parent.height.next)
        let header = try header(link.first, "first header of term \(term)")
        guard header.slot == Slot(term: term, height: rules.firstHeight),
            header.header.previous == hash, header.header.opening == opening.hash
        else { throw .badTerm(term, "the first block is not the one that it opens") }
        try check(header, under: rules)
        firsts[term] = header.hash
        history.advance(to: rules, isFirst: true)
        first = header
        second = nil
        if link.hasSecond {
            try handOver(link, rules)
        } else if !link.certificate.isEmpty {
            throw .badTerm(term, "a certificate of no block")
        }
    }

    /// Moves on to the parent of the next term's first block.
    private mutating func stand(
        on link: WireTermLink, openedFor term: Term
    ) throws(ProofFault) -> (slot: Slot, hash: Digest) {
        let rules = history.newest
        guard link.hasParent else {
            guard rules.term == .first, first == nil else {
                throw .badTerm(term, "it does not name the block that it begins above")
            }
            return (.genesis, network.digest)
        }
        let parent = try header(link.parent, "parent of term \(term)")
        guard parent.slot.term == rules.term, parent.slot.height >= rules.firstHeight else {
            throw .badTerm(term, "it begins above a block of another term than the one before")
        }
        try check(parent, under: rules)
        try checkPlace(parent, under: rules)
        if parent.slot.height == rules.firstHeight {
            guard second == nil else {
                throw .badTerm(term, "the term before has a second block in the proof and not here")
            }
            if rules.term == .first { history.advance(to: rules, isFirst: true) }
        } else {
            // In term 1 the founders vote, first and last.
            guard rules.term == .first || second != nil else {
                throw .badTerm(term, "no quorum of the voters before agrees to those after")
            }
            history.advance(to: rules, isFirst: false)
        }
        return (parent.slot, parent.hash)
    }

    /// Checks the second block: its certificate needs the voters before and those after.
    private mutating func handOver(
        _ link: WireTermLink, _ rules: TermRules
    ) throws(ProofFault) {
        let header = try header(link.second, "second header of term \(rules.term)")
        guard header.slot == Slot(term: rules.term, height: rules.firstHeight.next),
            header.header.previous == first?.hash, !header.isFirst
        else { throw .badTerm(rules.term, "its second block does not follow the first") }
        try check(header, under: rules)
        let certificate: Certificate
        do {
            certificate = try Certificate(strictly: [UInt8](link.certificate))
        } catch { throw .badPart("certificate of term \(rules.term)", "\(error)") }
        guard certificate.block == header.hash, certificate.slot == header.slot else {
            throw .badTerm(rules.term, "the certificate is of another block than the second")
        }
        certifyingSecond = history.needed(by: rules)
        do {
            try certificate.verify(by: certifyingSecond, network: network)
        } catch { throw .badTerm(rules.term, "the certificate of the second block: \(error)") }
        second = header
    }

    /// Checks that headers are a chain under the terms that were followed.
    func check(_ headers: [SignedHeader]) throws(ProofFault) {
        var parent: SignedHeader?
        for header in headers {
            guard let rules = history.rules(of: header.slot.term),
                header.slot.height >= rules.firstHeight
            else { throw .badHeader(header.slot, "the proof names no such term at this height") }
            try check(header, under: rules)
            try checkPlace(header, under: rules)
            if let parent {
                guard header.header.previous == parent.hash,
                    header.slot.height == parent.slot.height.next,
                    header.slot.term == parent.slot.term
                        || header.isFirst && parent.slot.term < header.slot.term
                else { throw .badHeader(header.slot, "it is no child of the one before") }
            }
            parent = header
        }
    }

    /// The sets from which the last header of a proof, no first block, needs a quorum each.
    func certifying(_ last: SignedHeader) throws(ProofFault) -> [VoterSet] {
        let rules = history.newest
        guard rules.term != .first else { return [rules.voters] }
        guard let second else {
            throw .badTerm(rules.term, "no quorum of the voters before agrees to those after")
        }
        return last.hash == second.hash ? certifyingSecond : [rules.voters]
    }

    private func header(
        _ wire: WireSignedHeader, _ name: String
    ) throws(ProofFault) -> SignedHeader {
        do {
            return try SignedHeader(wire, network: network)
        } catch { throw .badPart(name, "\(error)") }
    }

    private func check(
        _ header: SignedHeader, under rules: TermRules
    ) throws(ProofFault) {
        guard header.header.proposer == rules.coordinator else {
            throw .badHeader(header.slot, "its proposer is not the coordinator of the term")
        }
        guard header.header.voters == rules.voters.hash(network: network) else {
            throw .badHeader(header.slot, "it names another voter set")
        }
        guard header.isSigned(by: rules.coordinatorKey, network: network) else {
            throw .badHeader(header.slot, "the coordinator's signature is not good")
        }
    }

    /// Checks that first and second blocks of a term are those of its hand-over, and no others.
    private func checkPlace(
        _ header: SignedHeader, under rules: TermRules
    ) throws(ProofFault) {
        let isFirst = header.slot.height == rules.firstHeight
        guard header.isFirst == isFirst else {
            throw .badHeader(header.slot, "it opens a term where none begins")
        }
        if isFirst {
            let isRight =
                rules.term == .first
                ? header.header.previous == network.digest
                    && header.header.opening == network.digest
                : header.hash == firsts[rules.term]
            guard isRight else {
                throw .badHeader(header.slot, "it is not the first block of its term")
            }
        }
        if rules.term == history.newest.term, let second, header.slot == second.slot {
            guard header.hash == second.hash else {
                throw .badHeader(header.slot, "it is not the second block of its term")
            }
        }
    }
}
