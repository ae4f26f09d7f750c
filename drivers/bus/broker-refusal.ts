/**
 * Why a broker cannot be talked to, as one fault with a name of its own and what to do about it. What TLS says is Node's own
 * list of codes (nodejs.org/api/tls.html, "X509 certificate error codes") and OpenSSL's alerts; what a broker says is MQTT 3.1.1
 * section 3.2.2.3 and MQTT 5 section 3.2.2.2.
 */
import type { Fault } from '../../protocol/result.ts'

/** How far an attempt had come when it ended: the way to the broker was not open yet, nothing had answered CONNECT, or it was connected. */
export type Stage = 'opening' | 'asking' | 'up'

export interface Ended {
  /** Its address without secrets. */
  readonly broker: string
  readonly tls: boolean
  readonly stage: Stage
  /** MQTT's code in CONNACK or DISCONNECT. */
  readonly mqttCode?: number | undefined
  /** Of the socket: Node's code, or its words. */
  readonly error?: { readonly code?: unknown; readonly message: string } | undefined
  /** Ended by us: nothing had come for so long. */
  readonly silentMs?: number | undefined
}

const NOT_TLS = 'bus.not-tls'

/** Socket errors before the way is open: fault and hint. */
const OPENING: readonly (readonly [code: RegExp, fault: string, hint: string])[] = [
  [/^ECONNREFUSED$/, 'bus.port-closed', 'start the broker, or name the port that it listens on'],
  [/^(ENOTFOUND|EAI_\w+)$/, 'bus.no-such-host', 'the name is not known here; name its address'],
  [/^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, 'bus.no-way', 'no network leads there now'],
  [/^CERT_HAS_EXPIRED$/, 'bus.certificate-expired', "renew the broker's certificate, or set this machine's clock"],
  [/^CERT_NOT_YET_VALID$/, 'bus.certificate-not-yet-valid', "set this machine's clock"],
  [
    /SELF_SIGNED|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY|CERT_UNTRUSTED|SIGNATURE_FAILURE/,
    'bus.certificate-foreign',
    "name under ca the authority that signed the broker's certificate",
  ],
  [/ALTNAME/, 'bus.certificate-other-name', 'name the broker as its certificate does'],
  [/^CERT_REVOKED$/, 'bus.certificate-revoked', "renew the broker's certificate"],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH|HTTP_REQUEST|UNSUPPORTED_PROTOCOL/,
    NOT_TLS,
    'it answers without TLS: name the port that it has TLS on',
  ],
]

/** A broker judges a client's certificate when the way is open to us already (TLS 1.3) or shortly before (TLS 1.2). */
const ALERT = /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED)/

/** 1 in MQTT 3.1.1, 132 in MQTT 5. */
const VERSION_CODES = [1, 132]
/** Bad user name or password, not authorised, banned: MQTT 3.1.1 and MQTT 5. */
const LOGIN_CODES = [4, 5, 134, 135, 138]

/** Whether another version of MQTT may be answered: it was refused, or what came was hung up on without a word. */
export const isOfVersion = ({ stage, mqttCode, silentMs }: Ended): boolean =>
  stage === 'asking' && (mqttCode === undefined ? silentMs === undefined : VERSION_CODES.includes(mqttCode))

export function refusalOf({ broker, tls, stage, mqttCode, error, silentMs }: Ended): Fault {
  const reason = error === undefined ? 'closed' : String(error.code ?? error.message)
  const fault = (code: string, hint?: string): Fault => ({
    code,
    broker,
    reason,
    ...(hint === undefined ? {} : { hint }),
  })
  if (silentMs !== undefined) {
    return { code: 'bus.silent', broker, afterMs: silentMs, hint: 'something takes the connection and does not answer' }
  }
  if (tls && ALERT.test(reason))
    return fault('bus.own-certificate-refused', 'the broker does not take our certificate: renew cert and key')
  if (mqttCode !== undefined && stage !== 'up') {
    if (LOGIN_CODES.includes(mqttCode)) {
      return { code: 'bus.login-refused', broker, answer: mqttCode, hint: 'check user name, password or certificate' }
    }
    const hint = VERSION_CODES.includes(mqttCode) ? 'it speaks neither MQTT 5 nor 3.1.1' : "the broker's log says why"
    return { code: 'bus.connect-refused', broker, answer: mqttCode, hint }
  }
  if (stage === 'up') {
    return mqttCode === undefined ? fault('bus.lost') : { code: 'bus.lost', broker, answer: mqttCode }
  }
  if (stage === 'asking') {
    const hint = tls
      ? 'it hung up on what we said: perhaps our certificate, or no MQTT is spoken there'
      : 'it hung up on what we said: perhaps it asks for TLS (mqtts:), or no MQTT is spoken there'
    return fault('bus.hung-up', hint)
  }
  const known = OPENING.find(([code]) => code.test(reason))
  if (known !== undefined) return fault(known[1], known[2])
  // What speaks no TLS hangs up on its first message.
  if (tls && reason === 'ECONNRESET') return fault(NOT_TLS, 'it hung up on TLS: name the port that it has TLS on')
  return fault('bus.unreachable')
}
