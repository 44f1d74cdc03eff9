import Cryptography
import Ledger
import Messaging
import TestSupport
import Wire

extension FuzzTarget {
    /// Requests and answers between processes, and the signed documents in them.
    static func request(_ world: FuzzWorld) throws -> Self {
        let seeds = try requests(world).map { $0.encoded() } + responses(world).map { $0.encoded() }
        return Self("request", .protobuf, seeds: seeds) { bytes in
            let fault: any Error
            do {
                let request = try WireRequest(strictly: bytes)
                try readDocuments(in: request, world)
                return request.encoded()
            } catch { fault = error }
            // The same bytes may be an answer, which another socket reads.
            guard let response = try? WireResponse(strictly: bytes) else { throw fault }
            return response.encoded()
        }
    }

    private static func readDocuments(in request: WireRequest, _ world: FuzzWorld) throws {
        switch request.body {
        case .submit(let body):
            _ = try Envelope(strictly: [UInt8](body.envelope), network: world.network)
        case .vote(let body): _ = try Vote(strictly: [UInt8](body.vote))
        case .exchange(let body):
            _ = try? Head(strictly: [UInt8](body.head))
            if body.hasNewest { _ = try? SignedHeader(body.newest, network: world.network) }
            _ = try? Certificate(strictly: [UInt8](body.certificate))
            for bytes in body.decisions {
                _ = try? Decision(strictly: [UInt8](bytes), network: world.network)
            }
            for bytes in body.ballots { _ = try? Ballot(strictly: [UInt8](bytes)) }
            for bytes in body.statuses {
                let report = try? WireStatusReport(strictly: [UInt8](bytes))
                _ = report.map { try? Status(strictly: [UInt8]($0.status)) }
            }
        case .contribute(let body):
            for bytes in body.transactions { _ = try WireTransaction(strictly: [UInt8](bytes)) }
        case .nextBlock(let body):
            guard Digest(body.hash) != nil else { throw NotTaken("the block's hash") }
        case .nextSequence(let body):
            guard AccountID(body.account) != nil else { throw NotTaken("the account") }
        case nil: throw NotTaken("nothing is asked")
        default: break
        }
    }

    static func exchange(_ world: FuzzWorld) throws -> WireExchange {
        let east = Consortium.east
        guard let signing = world.signing[east], let voting = world.voting[east] else {
            throw NotTaken("the east has no keys")
        }
        var exchange = WireExchange()
        exchange.head = data(try world.head().bytes)
        exchange.newest = SignedHeader(world.chain.blocks[3]).wire
        exchange.decisions = world.decisions.map { data($0.bytes) }
        exchange.ballots = [
            data(
                try Ballot(
                    decision: world.decisions[0].hash, voter: east, network: world.network,
                    key: signing
                ).bytes)
        ]
        var report = WireStatusReport()
        report.status = data(
            try Status(
                decision: world.decisions[0], lastVote: nil,
                highest: world.chain.certificates[1], voter: east, network: world.network,
                key: voting
            ).bytes)
        exchange.statuses = [data(report.encoded())]
        exchange.evidence = [data(world.chain.blocks[0].hash.bytes)]
        exchange.certificate = data(world.chain.certificates[2].bytes)
        return exchange
    }

    private static func requests(_ world: FuzzWorld) throws -> [WireRequest] {
        var requests: [WireRequest] = []
        func add(_ change: (inout WireRequest) throws -> Void) rethrows {
            var request = WireRequest()
            try change(&request)
            requests.append(request)
        }
        add { $0.status = WireStatusRequest() }
        add { $0.snapshot = WireSnapshotRequest() }
        add {
            $0.bucketRoots.height = 40
            $0.bucketRoots.first = 16_384
        }
        add {
            $0.stateChunk.height = 40
            $0.stateChunk.first = 77
        }
        add {
            $0.history.height = 4
            $0.history.hash = data(world.chain.blocks[3].hash.bytes)
        }
        try add { $0.submit.envelope = data(try world.envelope(sampleTransactions())) }
        add {
            $0.nextBlock.height = 7
            $0.nextBlock.hash = data(world.chain.blocks[0].hash.bytes)
        }
        try add { $0.vote.vote = data(try world.vote(world.chain.blocks[1]).encoded()) }
        add {
            $0.blobChunk.digest = data(named("blob"))
            $0.blobChunk.offset = 1 << 20
            $0.blobChunk.content = data([UInt8](repeating: 7, count: 300))
        }
        add {
            $0.blobRead.digest = data(named("blob"))
            $0.blobRead.length = 1 << 22
        }
        add { $0.nextSequence.account = Consortium.east.text }
        add {
            $0.query.report = "balance"
            $0.query.arguments = [Consortium.east.text]
        }
        add {
            var grant = WirePatientConsent()
            grant.patient = "p-1"
            grant.purposes = ["training"]
            $0.consent.grants = [grant]
        }
        add {
            var record = WireLocalRecord()
            record.patient = "p-1"
            record.record = "a"
            record.use = "training"
            record.features = [1, 2.5]
            $0.records.records = [record]
        }
        try add {
            $0.contribute.transactions = try sampleTransactions().map { data($0.encoded()) }
        }
        try add { $0.exchange = try exchange(world) }
        add { $0.ballot.decision = data(world.decisions[0].bytes) }
        add { $0.evidence.offence = data(named("offence")) }
        return requests
    }

    private static func responses(_ world: FuzzWorld) throws -> [WireResponse] {
        var responses: [WireResponse] = []
        func add(_ change: (inout WireResponse) throws -> Void) rethrows {
            var response = WireResponse()
            try change(&response)
            responses.append(response)
        }
        add {
            $0.snapshot.proof = data([1, 2])
            $0.snapshot.logPeaks = data(world.network.digest.bytes)
        }
        add { $0.bucketRoots.roots = data(world.network.digest.bytes) }
        add { $0.stateChunk.next = 5 }
        add { $0.history.blocks = world.chain.blocks.prefix(2).map { data($0.bytes) } }
        add {
            $0.failure.code = "sequenceUsed"
            $0.failure.message = "sequence 3 is used; the next is 4"
        }
        add {
            $0.status.network = data(world.network.digest.bytes)
            $0.status.account = Consortium.east.text
            $0.status.term = 1
            $0.status.headHeight = 9
            $0.status.settledHeight = 7
            $0.status.headHash = data(world.chain.blocks[0].hash.bytes)
        }
        try add { $0.receipt = try world.receipt().wire }
        add {
            $0.block.block = data(world.chain.blocks[1].bytes)
            $0.block.otherBranch = true
            $0.block.certificate = data(world.chain.certificates[1].bytes)
        }
        add {
            $0.blobProgress.received = 1 << 33
            $0.blobProgress.credit = 8
        }
        add {
            $0.blobContent.size = 4
            $0.blobContent.content = data([1, 2, 3, 4])
        }
        add {
            $0.envelopeStatus.stage = "settled"
            $0.envelopeStatus.height = 5
            $0.envelopeStatus.outcomes = [0, 7, 300]
        }
        add {
            $0.nextSequence.sequence = 4
            $0.nextSequence.settledHeight = 3
        }
        add { $0.report.json = data(Array("{}".utf8)) }
        add { $0.envelopes.envelopes = [data(named("a")), data(named("b"))] }
        add { $0.patient.pseudonym = data(named("patient")) }
        add { $0.done = WireDone() }
        try add { $0.exchange = try exchange(world) }
        add { $0.evidence.evidence = data(world.evidence[0].bytes) }
        return responses
    }

    /// What a socket hands over: messages of any number of frames.
    static func frames(_ world: FuzzWorld) throws -> Self {
        let id: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9]
        let requests = try requests(world).map { $0.encoded() }
        var seeds = requests.map { Frames.bytes([[1, 2, 3, 4, 5], id, $0]) }
        seeds += [0, 1, 2].map { Frames.bytes([id, [$0], Array("answer".utf8)]) }
        for event in [0x1000, 0x4000, 0x2000, 0x0200] as [UInt16] {
            let bytes = [UInt8(event & 0xFF), UInt8(event >> 8), 1, 0, 0, 0]
            seeds.append(Frames.bytes([bytes, Array("tcp://127.0.0.1:7".utf8)]))
        }
        return Self(
            "frames", .frames, seeds: seeds,
            hostile: [[], [[]], [[], []], [[1], [2], [3]], [[1], [2], [3], [4]]].map(Frames.bytes)
        ) { bytes in
            let frames = Frames.read(bytes)
            if let request = RequestFrames(frames) {
                _ = try? WireRequest(strictly: request.body)
                return bytes == Frames.bytes(frames)
                    ? Frames.bytes([request.routingID, request.requestID, request.body]) : nil
            }
            if let answer = AnswerFrames(frames) {
                _ = try? WireResponse(strictly: answer.body)
                return bytes == Frames.bytes(frames)
                    ? Frames.bytes(answer.frames) : nil
            }
            guard LinkEvent(frames) != nil else { throw NotTaken("no message of ours") }
            return nil
        }
    }

    /// What a peer says first on a connection (ZMTP 3.1, RFC 37): signature, version, mechanism,
    /// then a command; for a real socket alone, since libzmq reads it.
    package static var greetings: Self {
        func greeting(_ mechanism: String, _ rest: [UInt8]) -> [UInt8] {
            let name = Array(mechanism.utf8)
            return [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + name
                + [UInt8](repeating: 0, count: 20 - name.count + 32) + rest
        }
        let hello: [UInt8] = [4, 200, 5] + Array("HELLO".utf8) + [UInt8](repeating: 1, count: 194)
        let long: [UInt8] = [6, 0x7F] + [UInt8](repeating: 0xFF, count: 7)
        return Self(
            "greetings", .bytes,
            seeds: [
                greeting("CURVE", hello), greeting("NULL", [4, 41, 5] + Array("READY".utf8)),
                greeting("PLAIN", [4, 10, 5] + Array("HELLO".utf8)), greeting("CURVE", long),
                Array("GET / HTTP/1.1\r\n\r\n".utf8), [1, 0], [0xFF],
            ]
        ) { $0 }
    }

    /// Lists that lie in blobs: a site's manifest, and the held-out records.
    static func manifest() throws -> Self {
        var manifest = WireManifest()
        manifest.entries = (0..<4).map { number in
            var entry = WireManifestEntry()
            entry.record = "r-\(number)"
            entry.item = "east/\(number)"
            entry.closeEnvelope = data(named("close \(number)"))
            entry.closeIndex = UInt32(number)
            return entry
        }
        var records = WireReferenceRecords()
        records.records = (0..<3).map { number in
            var record = WireReferenceRecord()
            record.item = "east/\(number)"
            record.content = data(named("content \(number)"))
            record.label = number == 1
            return record
        }
        return Self("manifest", .protobuf, seeds: [manifest.encoded(), records.encoded()]) {
            if let manifest = try? WireManifest(strictly: $0) { return manifest.encoded() }
            if let values = try? WireRoundValues(strictly: $0) { return values.encoded() }
            return try WireReferenceRecords(strictly: $0).encoded()
        }
    }
}
