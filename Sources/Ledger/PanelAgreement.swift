import Wire

/// Checks what an agreement says about who reads an item, and who judges the readers.
func validate(panels rule: WireAnnotationRule) throws(AgreementFault) {
    func require(_ holds: Bool, _ field: String, _ reason: String) throws(AgreementFault) {
        guard holds else { throw AgreementFault(place: "annotation.\(field)", reason: reason) }
    }
    try require(
        ["own-site", "consortium"].contains(rule.panel), "panel", "must be own-site or consortium")
    try require(
        rule.panel == "own-site" || !rule.waves.isEmpty, "waves",
        "must be there: the readers of a consortium are drawn")
    if rule.waves.isEmpty {
        let why = "has a meaning only beside waves: without them the site lists the readers"
        try require(rule.credential.isEmpty, "credential", why)
        try require(rule.seniorCredential.isEmpty, "seniorCredential", why)
        try require(rule.secretWindow == 0, "secretWindow", why)
        try require(rule.laterFeeMicrotokens == 0, "laterFee", why)
    } else {
        // Two seniors may join the last wave; boxes and masks bear 16 readers, others 64.
        let most: UInt32 = ["boxes", "masks"].contains(rule.answer) ? 14 : 62
        try require(
            (1...8).contains(rule.waves.count) && (rule.waves.first ?? 0) >= 1
                && zip(rule.waves, rule.waves.dropFirst()).allSatisfy(<)
                && (rule.waves.last ?? 0) <= most, "waves",
            "must be 1 to 8 ascending numbers of readers, at most \(most)")
        try require(
            isIdentifier(rule.credential.utf8), "credential", "must be 1 to 64 of a-z 0-9 . _ -")
        try require(
            rule.seniorCredential.isEmpty || isIdentifier(rule.seniorCredential.utf8),
            "seniorCredential", "must be 1 to 64 of a-z 0-9 . _ -")
        try require(rule.secretWindow > 0, "secretWindow", "must be above zero")
        try require(
            rule.laterFeeMicrotokens <= 1 << 62, "laterFee", "must be at most 2^62 microtokens")
    }
    let organisation = AccountID(rule.goldOrganisation)
    try require(
        rule.goldOrganisation.isEmpty || organisation?.role?.votes == true, "goldOrganisation",
        "must be the account of a site or the coordinator")
    try require(
        rule.goldOrganisation.isEmpty ? rule.goldWindow == 0 : rule.goldWindow > 0, "goldWindow",
        rule.goldOrganisation.isEmpty
            ? "has a meaning only beside goldOrganisation" : "must be above zero")
}
