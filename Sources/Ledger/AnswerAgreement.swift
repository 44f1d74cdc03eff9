import Wire

/// Checks what an agreement says about answers: each kind has fields of its own, and no others.
func validate(answers rule: WireAnnotationRule) throws(AgreementFault) {
    func require(_ holds: Bool, _ field: String, _ reason: String) throws(AgreementFault) {
        guard holds else { throw AgreementFault(place: "annotation.\(field)", reason: reason) }
    }
    let kind = rule.answer
    try require(
        ["class", "ordinal", "measurement", "boxes", "masks"].contains(kind), "answer",
        "must be class, ordinal, measurement, boxes or masks")
    let (hasShare, isOrdinal) = (["ordinal", "measurement"].contains(kind), kind == "ordinal")
    switch kind {
    case "class", "ordinal":
        try require((2...64).contains(rule.classes), "classes", "must be 2 to 64")
    case "boxes": try require((1...64).contains(rule.classes), "classes", "must be 1 to 64")
    case "masks": try require(rule.classes == 1, "classes", "must be 1: a mask is of one thing")
    default: try require(rule.classes == 0, "classes", "has no meaning for \(kind)")
    }
    try require(
        rule.labels.isEmpty || rule.labels.count == Int(rule.classes), "labels",
        "must name every class, or none")
    try require(
        Set(rule.labels).count == rule.labels.count && rule.labels.allSatisfy(isLabel), "labels",
        "must each be 1 to 64 characters without commas, quotation marks and spaces at the ends")
    try require(
        hasShare
            ? rule.nearShareDenominator > 0 && rule.nearShareNumerator <= rule.nearShareDenominator
            : rule.nearShareNumerator == 0 && rule.nearShareDenominator == 0, "nearShare",
        hasShare ? "must be a fraction of at most one" : "has no meaning for \(kind)")
    try require(isOrdinal || rule.nearDistance == 0, "nearDistance", "has no meaning for \(kind)")
    try require(
        isOrdinal || rule.maximumSpread == 0, "maximumSpread", "has no meaning for \(kind)")
    try requirePermille(rule.posteriorPermille, "posterior", needed: kind == "class", kind)
    try require(
        kind == "class"
            ? (1...1_000).contains(rule.minimumVotes) : rule.minimumVotes == 0, "minimumVotes",
        kind == "class" ? "must be 1 to 1000" : "has no meaning for \(kind)")
    try requirePermille(rule.overlapPermille, "overlap", needed: kind == "boxes", kind)
    try requirePermille(
        rule.agreementPermille, "agreement", needed: ["boxes", "masks"].contains(kind), kind)
    // Of two readers with as many boxes, none in common, each agrees by 666 per mille with all of them.
    try require(
        kind != "boxes" || rule.agreementPermille > 666, "agreement",
        "must be 667 to 1000 per mille for boxes: below it readers who drew different boxes agree")
    guard kind == "measurement" else {
        return try require(
            rule.absoluteTolerance == 0 && rule.relativeTolerancePermille == 0 && rule.cut == 0,
            "absoluteTolerance", "has no meaning for \(kind)")
    }
    try require(
        rule.absoluteTolerance <= 1 << 62, "absoluteTolerance", "must be at most 2^62 thousandths")
    try require(
        rule.relativeTolerancePermille <= 1_000, "relativeTolerance",
        "must be at most 1000 per mille")
    try require(
        rule.absoluteTolerance > 0 || rule.relativeTolerancePermille > 0, "absoluteTolerance",
        "must be above zero when relativeTolerance is zero")
}

private func requirePermille(
    _ value: UInt32, _ field: String, needed: Bool, _ kind: String
) throws(AgreementFault) {
    guard needed ? (1...1_000).contains(value) : value == 0 else {
        throw AgreementFault(
            place: "annotation.\(field)",
            reason: needed ? "must be 1 to 1000 per mille" : "has no meaning for \(kind)")
    }
}

/// Whether a class's name can stand in a table and in a list of names.
private func isLabel(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && name.first != " " && name.last != " "
        && !name.unicodeScalars.contains { scalar in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: true
            default: scalar == "," || scalar == "\""
            }
        }
}

/// The highest grade that training may meet: a measurement, boxes or a mask are 1 or 2.
func highestTrainingGrade(_ rule: WireAnnotationRule) -> UInt32 {
    ["class", "ordinal"].contains(rule.answer) ? rule.classes : 2
}
