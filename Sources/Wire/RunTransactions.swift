/// The transactions of a run, from what they say; digests are 32 bytes.
extension WireTransaction {
    package static func startRun(_ run: UInt32, from model: [UInt8], rounds: UInt32) -> Self {
        var transaction = Self()
        transaction.runStart.run = run
        transaction.runStart.initialModel = data(model)
        transaction.runStart.rounds = rounds
        return transaction
    }

    package static func stopRun(_ run: UInt32) -> Self {
        var transaction = Self()
        transaction.runStop.run = run
        return transaction
    }

    /// `records` is the digest of the blob with the records.
    package static func offer(_ run: UInt32, _ records: [UInt8], count: UInt32) -> Self {
        var transaction = Self()
        transaction.referenceOffer.run = run
        transaction.referenceOffer.records = data(records)
        transaction.referenceOffer.count = count
        return transaction
    }

    package static func fix(_ run: UInt32, _ root: [UInt8], count: UInt32) -> Self {
        var transaction = Self()
        transaction.referenceFix.run = run
        transaction.referenceFix.root = data(root)
        transaction.referenceFix.count = count
        return transaction
    }

    package static func openRound(_ run: UInt32, _ round: UInt32, base: [UInt8]) -> Self {
        var transaction = Self()
        transaction.roundOpen.run = run
        transaction.roundOpen.round = round
        transaction.roundOpen.baseModel = data(base)
        return transaction
    }

    /// `update` and `manifest` are digests of blobs.
    package static func submit(
        _ run: UInt32, _ round: UInt32, update: [UInt8], manifest: [UInt8], examples: UInt32
    ) -> Self {
        var transaction = Self()
        transaction.updateSubmit.run = run
        transaction.updateSubmit.round = round
        transaction.updateSubmit.update = data(update)
        transaction.updateSubmit.manifest = data(manifest)
        transaction.updateSubmit.examples = examples
        return transaction
    }

    /// `values` is the digest of the values' bytes.
    package static func checked(
        _ run: UInt32, _ round: UInt32, model: [UInt8], values: [UInt8]
    ) -> Self {
        var transaction = Self()
        transaction.roundChecked.run = run
        transaction.roundChecked.round = round
        transaction.roundChecked.model = data(model)
        transaction.roundChecked.values = data(values)
        return transaction
    }

    /// `values` are the values' own bytes.
    package static func closeRound(
        _ run: UInt32, _ round: UInt32, model: [UInt8], values: [UInt8]
    ) -> Self {
        var transaction = Self()
        transaction.roundClose.run = run
        transaction.roundClose.round = round
        transaction.roundClose.model = data(model)
        transaction.roundClose.values = data(values)
        return transaction
    }
}
