/// Why a transaction changes nothing; cases in check order, so that all sites give one reason.
///
/// The raw value is the outcome code in the effects tree; a code is never used again for another
/// reason.
package enum Rejection: UInt32, Error, CaseIterable, Hashable, Sendable, CustomStringConvertible {
    case notPermitted = 1
    case malformedField = 2
    case unknownAccount = 3
    case insufficientBalance = 4
    case amountOverflow = 5

    case memberMalformed = 10
    case memberExists = 11
    case keyInUse = 12
    case notAFoundingRole = 13
    case tooManyReaders = 14
    case namedByAgreement = 15

    case notCustodian = 20
    case purposesMalformed = 21
    case consentEnded = 22
    case noConsentToWithdraw = 23
    case consentsExhausted = 24

    case foreignItem = 30
    case itemExists = 31
    case noConsent = 32
    case readersMalformed = 33
    case readerNotEligible = 34

    case unknownItem = 40
    case notAssigned = 41
    case itemClosed = 42
    case alreadyCommitted = 43
    case commitWindowOver = 44
    case notCommitted = 45
    case alreadyRevealed = 46
    case revealNotOpen = 47
    case revealWindowOver = 48
    case gradeOutOfRange = 49
    case doesNotOpen = 50
    case itemNotReady = 51
    case periodNotReady = 52
    case answerMalformed = 53

    case runActive = 60
    case noRun = 61
    case runOver = 62
    case notOnRoster = 63
    case referenceFixed = 64
    case alreadyOffered = 65
    case offersOver = 66
    case notAVoter = 67
    case referenceNotFixed = 68
    case roundOutOfOrder = 69
    case wrongBaseModel = 70
    case roundNotOpen = 71
    case roundOver = 72
    case alreadySubmitted = 73
    case roundNotReady = 74
    case noQuorum = 75
    case valuesMalformed = 76
    case tooManyRounds = 77

    case unknownWindow = 80
    case windowOpen = 81

    case evidenceMalformed = 90
    case provesNothing = 91
    case alreadyRecorded = 92
    case needsChain = 93

    case credentialsMalformed = 100
    case seedNotAwaited = 101
    case seedTooEarly = 102
    case secretsOverdue = 103
    case seedDoesNotOpen = 104
    case disputeWindowOver = 106
    case alreadyAdjudicated = 107
    case noSeniors = 108
    case goldKnown = 110
    case goldExhausted = 111
    case unknownGold = 112
    case goldNotOpen = 113
    case goldMalformed = 114
    case goldDoesNotOpen = 115
    case goldAwaited = 116
    case answersUnderWay = 117
    case namesNoMember = 118
    case supplyFixed = 119
    case notTreasurer = 120
    case amountMalformed = 121
    case referenceMalformed = 122
    case referenceUsed = 123
    case cannotReceive = 124
    case unknownRedemption = 125
    case redemptionClosed = 126
    case unknownPatient = 127
    case patientKeySet = 128
    case noPatientKey = 129
    case wrongPatientKey = 130
    case claimOutOfOrder = 131
    case notCorrectable = 132
    case correctionDiffers = 133
    case unknownModel = 134
    case noContributions = 135
    case returnedOutOfRange = 136
    case foreignRedemption = 137
    case redemptionAccepted = 138
    case redemptionNotAccepted = 139
    case supplyExceeded = 140

    case periodTooShort = 180
    case tooManyDisputes = 181
    case labelsMoved = 182

    package var description: String {
        switch self {
        case .notPermitted: "the signer's role does not allow this"
        case .malformedField: "a field has not the right length or range"
        case .unknownAccount: "the account is not registered"
        case .insufficientBalance: "the account holds less than is needed"
        case .amountOverflow: "an amount leaves the range of 64 bits"
        case .memberMalformed:
            "the member document is malformed or proves no possession of its keys"
        case .memberExists: "the account is already registered"
        case .keyInUse: "a key of the document belongs to another member"
        case .notAFoundingRole: "voters enter by a decision of the voters, not by enrolment"
        case .tooManyReaders:
            "the organisation has enrolled as many readers as one may"
        case .namedByAgreement:
            "the agreement names this account; it enters by a decision of the voters, not by "
                + "enrolment"
        case .notCustodian: "another site is this patient's custodian"
        case .purposesMalformed: "purposes must be given, known, ascending and each once"
        case .consentEnded: "the consent would end before it starts"
        case .noConsentToWithdraw: "no consent in force covers these purposes"
        case .consentsExhausted: "the patient's consent has changed as often as it may"
        case .foreignItem: "the item's name does not start with the signing site"
        case .itemExists: "an item of this name is registered"
        case .noConsent: "no consent of the patient is in force for this use"
        case .readersMalformed: "readers must be annotator accounts, ascending and each once"
        case .readerNotEligible: "a reader is not registered at the site of the item"
        case .unknownItem: "there is no such item"
        case .notAssigned: "the item is not assigned to the signer"
        case .itemClosed: "the item is closed"
        case .alreadyCommitted: "the signer has already committed an answer to this item"
        case .commitWindowOver: "the window for commitments is over"
        case .notCommitted: "the signer has committed no answer to this item"
        case .alreadyRevealed: "the signer has already revealed the answer to this item"
        case .revealNotOpen: "reveals are not open yet: commitments are still awaited"
        case .revealWindowOver: "the window for reveals is over"
        case .gradeOutOfRange: "the grade is out of range"
        case .doesNotOpen: "the revealed answer and salt do not open the commitment"
        case .itemNotReady: "the item still awaits answers"
        case .periodNotReady: "the period has items without an outcome, or none at all"
        case .answerMalformed:
            "the answer is not of the kind that the agreement asks for, or out of range"
        case .runActive: "another run is under way"
        case .noRun: "there is no such run"
        case .runOver: "the run is stopped or finished"
        case .notOnRoster: "the signer is not on the run's roster"
        case .referenceFixed: "the reference set is already fixed"
        case .alreadyOffered: "the signer has already offered reference records"
        case .offersOver: "the window for reference offers is over"
        case .notAVoter: "the signer is not a voter"
        case .referenceNotFixed: "the reference set is not fixed yet"
        case .roundOutOfOrder: "the round is not the next one"
        case .wrongBaseModel: "the base model is not the run's present model"
        case .roundNotOpen: "the round is not open"
        case .roundOver: "the round's deadline has passed"
        case .alreadySubmitted: "the signer has already submitted an update for this round"
        case .roundNotReady: "the round still awaits updates"
        case .noQuorum: "no quorum of voters vouches for this result"
        case .valuesMalformed: "the round's values are malformed or name another roster"
        case .tooManyRounds: "the run has more rounds than the agreement allows"
        case .unknownWindow: "there is no such appeal window"
        case .windowOpen: "the appeal window is still open"
        case .evidenceMalformed: "the evidence is malformed or belongs to another network"
        case .provesNothing: "the evidence proves nothing"
        case .alreadyRecorded: "the offence is already recorded"
        case .needsChain:
            "an invalid block convicts by re-execution only; check it with `tally evidence check`"
        case .credentialsMalformed:
            "credentials must be names of 1 to 64 of a-z 0-9 . _ -, at most 16, ascending, each "
                + "once, and of an annotator"
        case .seedNotAwaited: "the item awaits no secret of its site"
        case .seedTooEarly:
            "the secret is early: it opens in the second block after the registration, when the "
                + "hash of the first is fixed"
        case .secretsOverdue:
            "the site has not opened secrets of its panels in time; first it opens them"
        case .seedDoesNotOpen: "the secret is not the one that the registration committed to"
        case .disputeWindowOver: "the appeal window of the item is over"
        case .alreadyAdjudicated: "seniors have been asked about this item already"
        case .noSeniors: "there are no two seniors left to ask, or the agreement names none"
        case .goldKnown: "this commitment to gold is on the chain already"
        case .goldExhausted: "the period has as many commitments to gold as it may have"
        case .unknownGold: "there is no such commitment to gold in the open period"
        case .goldNotOpen:
            "gold is shown when its period can close and every item it names has its outcome, "
                + "not before"
        case .goldMalformed:
            "gold must name items ascending, each once and for the first time, with an answer that "
                + "the agreement asks for"
        case .goldDoesNotOpen: "the answers and the salt do not open the commitment to gold"
        case .goldAwaited: "gold of the period is not shown yet, and its window is open"
        case .answersUnderWay:
            "the kind of answers cannot change while items of the open period await an outcome"
        case .namesNoMember:
            "the new agreement names a developer or treasurer that is no member in force and does "
                + "not enter by the same decision"
        case .supplyFixed: "the supply was founded once; a new agreement states the same one"
        case .notTreasurer: "the signer is not the treasurer that the agreement names"
        case .amountMalformed: "the amount must be above zero"
        case .referenceMalformed: "a reference must be 1 to 64 of a-z 0-9 . _ -"
        case .referenceUsed: "a payment of this reference is on the ledger already"
        case .cannotReceive: "the receiver must be another account of a member in force"
        case .unknownRedemption: "there is no such redemption"
        case .redemptionClosed: "the redemption is paid or given up already"
        case .unknownPatient: "no consent of this patient is on the chain"
        case .patientKeySet: "the patient has a key already, and only that one"
        case .noPatientKey: "no key is set for this patient to claim with"
        case .wrongPatientKey: "the key is not the one that was set for this patient"
        case .claimOutOfOrder: "claims of a patient are numbered, and this is not the next one"
        case .notCorrectable: "a posting between these accounts is not corrected this way"
        case .correctionDiffers:
            "an earlier correction states the posting otherwise, or left less of it"
        case .unknownModel: "there is no such model on the chain"
        case .noContributions: "no round's weights are recorded for what the model descends from"
        case .returnedOutOfRange:
            "what is taken back must be above zero and at most what was posted"
        case .foreignRedemption: "only who made the request, or the treasurer, can give it up"
        case .redemptionAccepted:
            "the treasurer has accepted the redemption; from then on it alone can give it up"
        case .redemptionNotAccepted: "the treasurer has not accepted the redemption yet"
        case .supplyExceeded: "all tokens together would exceed 2^62 microtokens"
        case .tooManyDisputes: "the signer has as many disputes under way as it may"
        case .labelsMoved:
            "names of classes may be added at the end alone: answers given already are kept by number"
        case .periodTooShort:
            "below the agreement's number of items the coordinator alone closes a period, and one "
                + "of measurements, boxes or masks has two approved items at least"
        }
    }
}
