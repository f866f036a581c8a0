package e2e

const UnknownID = "00000000-0000-4000-8000-00000000dead"
