/** Why a TLS connection was refused on our side, and what to do; null for a code that is none of these. */
export function tlsFault(code: string): { reason: string; hint: string } | null {
  return FAULTS[code] ?? null;
}

const UNTRUSTED = {
  reason: "its certificate is signed by no authority that this machine trusts",
  hint: "if it is signed by your own, name that authority's file with NODE_EXTRA_CA_CERTS=ca.pem; else do not go on",
};

/** By the names that OpenSSL gives to the results of X509_verify_cert. */
const FAULTS: Record<string, { reason: string; hint: string }> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  CERT_HAS_EXPIRED: {
    reason: "its certificate has expired",
    hint: "renew it there; check this machine's clock too",
  },
  CERT_NOT_YET_VALID: {
    reason: "its certificate is not valid yet",
    hint: "check the clocks of both machines",
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    reason: "its certificate is for another name",
    hint: "use a name that the certificate holds",
  },
  EPROTO: {
    reason: "it does not speak TLS as expected",
    hint: "check the port; an instance without TLS is named with http://",
  },
};
