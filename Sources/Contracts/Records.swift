import Ledger
import Wire

/// `record.register`: a site registers a record and opens its item for the readers listed.
///
/// Content that is registered already is kept, marked a duplicate, opens no item and earns nothing.
func register(
    _ body: WireRecordRegister, _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    let (patient, tag) = ([UInt8](body.patient), [UInt8](body.contentTag))
    try call.require(call.signer.role == .site, else: .notPermitted)
    guard let item = ItemID(body.item), patient.count == 32, tag.count == 32,
        body.use == .training || body.use == .evaluation
    else { throw .malformedField }
    let size = ImageSize(width: body.width, height: body.height)
    try call.require(
        call.context.agreement.annotation.kind.isImage
            ? size != nil : body.width == 0 && body.height == 0, else: .malformedField)
    try call.require(
        body.seedCommitment.count == (call.context.agreement.annotation.isDrawn ? 32 : 0),
        else: .malformedField)
    try call.require(item.site == call.signer.name, else: .foreignItem)
    try call.require(changes.overdueSecrets(of: call.signer) == 0, else: .secretsOverdue)
    let key = Array(item.text.utf8)
    try call.require(changes.bytes(.records, key) == nil, else: .itemExists)
    guard let consent = changes.consent(of: patient) else { throw .noConsent }
    try call.require(consent.custodian == call.signer.text, else: .notCustodian)
    let purpose: WirePurpose = body.use == .training ? .training : .evaluation
    try call.require(
        consent.interval(for: purpose, at: call.height) != nil, else: .noConsent)
    if call.context.agreement.annotation.isDrawn {
        try call.require(body.readers.isEmpty, else: .readersMalformed)
    } else {
        try checkReaders(body.readers, call, &changes)
    }

    let isDuplicate = changes.bytes(.tags, tag) != nil
    var record = WireRecordState()
    record.site = call.signer.text
    record.patient = body.patient
    record.contentTag = body.contentTag
    record.use = body.use
    record.duplicate = isDuplicate
    record.registeredHeight = call.height
    changes.set(.records, key, to: record)
    guard !isDuplicate else { return }
    var first = WireTagState()
    first.item = item.text
    changes.set(.tags, tag, to: first)
    changes.openItem(
        item, readers: body.readers, size: size, seedCommitment: [UInt8](body.seedCommitment), call)
}

private func checkReaders(
    _ readers: [String], _ call: Call, _ changes: inout ChangeSet
) throws(Rejection) {
    try call.require(
        readers.count <= call.context.agreement.annotation.kind.mostReaders,
        else: .readersMalformed)
    var last: AccountID?
    for text in readers {
        guard let reader = AccountID(text), reader.role == .annotator,
            last.map({ $0 < reader }) ?? true
        else { throw .readersMalformed }
        guard let member = changes.activeMember(reader), member.organisation == call.signer.text
        else {
            throw .readerNotEligible
        }
        last = reader
    }
}
