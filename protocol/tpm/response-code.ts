/** What a TPM refuses with (TPM 2.0 Library Part 2, 6.6 "TPM_RC"), as faults that say what to do. */
import type { Fault } from '../result.ts'

/** Codes with bit 7 set (format one) by their lower six bits; they also say which parameter, handle or session is meant. */
const FORMAT_ONE: Readonly<Record<number, string>> = {
  1: 'ASYMMETRIC',
  2: 'ATTRIBUTES',
  3: 'HASH',
  4: 'VALUE',
  5: 'HIERARCHY',
  7: 'KEY_SIZE',
  8: 'MGF',
  9: 'MODE',
  10: 'TYPE',
  11: 'HANDLE',
  12: 'KDF',
  13: 'RANGE',
  14: 'AUTH_FAIL',
  15: 'NONCE',
  16: 'PP',
  18: 'SCHEME',
  21: 'SIZE',
  22: 'SYMMETRIC',
  23: 'TAG',
  24: 'SELECTOR',
  26: 'INSUFFICIENT',
  27: 'SIGNATURE',
  28: 'KEY',
  29: 'POLICY_FAIL',
  31: 'INTEGRITY',
  32: 'TICKET',
  33: 'RESERVED_BITS',
  34: 'BAD_AUTH',
  35: 'EXPIRED',
  36: 'POLICY_CC',
  37: 'BINDING',
  38: 'CURVE',
  39: 'ECC_POINT',
  40: 'FW_LIMITED',
  41: 'SVN_LIMITED',
  48: 'CHANNEL',
  49: 'CHANNEL_KEY',
}

/** Errors (0x1..) and warnings (0x9..), and the one code of TPM 1.2 that a TPM 2.0 still gives. */
const FORMAT_ZERO: Readonly<Record<number, string>> = {
  30: 'BAD_TAG',
  256: 'INITIALIZE',
  257: 'FAILURE',
  259: 'SEQUENCE',
  267: 'PRIVATE',
  281: 'HMAC',
  288: 'DISABLED',
  289: 'EXCLUSIVE',
  292: 'AUTH_TYPE',
  293: 'AUTH_MISSING',
  294: 'POLICY',
  295: 'PCR',
  296: 'PCR_CHANGED',
  301: 'UPGRADE',
  302: 'TOO_MANY_CONTEXTS',
  303: 'AUTH_UNAVAILABLE',
  304: 'REBOOT',
  305: 'UNBALANCED',
  322: 'COMMAND_SIZE',
  323: 'COMMAND_CODE',
  324: 'AUTHSIZE',
  325: 'AUTH_CONTEXT',
  326: 'NV_RANGE',
  327: 'NV_SIZE',
  328: 'NV_LOCKED',
  329: 'NV_AUTHORIZATION',
  330: 'NV_UNINITIALIZED',
  331: 'NV_SPACE',
  332: 'NV_DEFINED',
  336: 'BAD_CONTEXT',
  337: 'CPHASH',
  338: 'PARENT',
  339: 'NEEDS_TEST',
  340: 'NO_RESULT',
  341: 'SENSITIVE',
  342: 'READ_ONLY',
  2305: 'CONTEXT_GAP',
  2306: 'OBJECT_MEMORY',
  2307: 'SESSION_MEMORY',
  2308: 'MEMORY',
  2309: 'SESSION_HANDLES',
  2310: 'OBJECT_HANDLES',
  2311: 'LOCALITY',
  2312: 'YIELDED',
  2313: 'CANCELED',
  2314: 'TESTING',
  2320: 'REFERENCE_H0',
  2321: 'REFERENCE_H1',
  2322: 'REFERENCE_H2',
  2323: 'REFERENCE_H3',
  2324: 'REFERENCE_H4',
  2325: 'REFERENCE_H5',
  2326: 'REFERENCE_H6',
  2328: 'REFERENCE_S0',
  2329: 'REFERENCE_S1',
  2330: 'REFERENCE_S2',
  2331: 'REFERENCE_S3',
  2332: 'REFERENCE_S4',
  2333: 'REFERENCE_S5',
  2334: 'REFERENCE_S6',
  2336: 'NV_RATE',
  2337: 'LOCKOUT',
  2338: 'RETRY',
  2339: 'NV_UNAVAILABLE',
}

/** What it comes to for whoever runs the agent, what to do, and the codes that mean it. All others are `tpm.refused`. */
const MEANINGS = {
  'tpm.auth': {
    hint: 'the authorization value is not the one of this key or hierarchy: name the file that was made with the key',
    names: ['AUTH_FAIL', 'BAD_AUTH', 'AUTH_MISSING', 'AUTH_UNAVAILABLE', 'AUTH_TYPE'],
  },
  'tpm.lockout': {
    hint: 'too many wrong authorizations: wait until the TPM forgets them, or reset its lockout as its owner',
    names: ['LOCKOUT'],
  },
  'tpm.no-handle': {
    hint: 'nothing stands at this handle: make the key, or name the handle that it was made at',
    names: ['HANDLE', ...[0, 1, 2, 3, 4, 5, 6].flatMap(n => [`REFERENCE_H${n}`, `REFERENCE_S${n}`])],
  },
  'tpm.handle-taken': {
    hint: 'something stands at this handle, and nothing is overwritten: name another handle',
    names: ['NV_DEFINED'],
  },
  'tpm.disabled': {
    hint: 'this hierarchy or command is switched off: enable the TPM in the firmware of the board',
    names: ['HIERARCHY', 'DISABLED'],
  },
  'tpm.busy': {
    hint: 'the TPM was busy or testing itself all the time that was given to it',
    names: ['RETRY', 'YIELDED', 'TESTING', 'NV_RATE', 'NV_UNAVAILABLE'],
  },
  'tpm.not-started': {
    hint: 'nobody started this TPM: the firmware or the kernel has to send it TPM2_Startup',
    names: ['INITIALIZE'],
  },
  'tpm.broken': {
    hint: 'the TPM failed its own test: cut its power once; when it stays so, replace it',
    names: ['FAILURE', 'NEEDS_TEST'],
  },
  'tpm.restart-needed': {
    hint: 'the TPM waits for a restart of the board, or for the rest of its own update',
    names: ['REBOOT', 'UPGRADE'],
  },
  'tpm.full': {
    hint: 'no room for a further object: use /dev/tpmrm0, end other users of the TPM, or remove keys that stand in it',
    names: [
      'OBJECT_MEMORY',
      'SESSION_MEMORY',
      'MEMORY',
      'SESSION_HANDLES',
      'OBJECT_HANDLES',
      'CONTEXT_GAP',
      'TOO_MANY_CONTEXTS',
      'NV_SPACE',
    ],
  },
  'tpm.unsupported': {
    hint: 'this TPM lacks what is asked of it: P-256, ECDSA, SHA-256 and AES-128 are needed',
    names: ['COMMAND_CODE', 'CURVE', 'SCHEME', 'HASH', 'ASYMMETRIC', 'SYMMETRIC', 'KDF', 'KEY_SIZE', 'MODE'],
  },
} as const

export type TpmRefusalCode = keyof typeof MEANINGS | 'tpm.refused'

/** `rc` is the code as the TPM gave it, `name` what Part 2 calls it, `at` which of its inputs the TPM means. */
export interface TpmRefusal extends Fault {
  readonly code: TpmRefusalCode
  readonly command: string
  readonly rc: string
  readonly name: string
  readonly at?: string
}

const CODE_OF: ReadonlyMap<string, keyof typeof MEANINGS> = new Map(
  (Object.keys(MEANINGS) as (keyof typeof MEANINGS)[]).flatMap(code =>
    MEANINGS[code].names.map(name => [name, code] as const),
  ),
)

const FORMAT_ONE_BIT = 0x080
const VENDOR_BIT = 0x400
/** Above these bits a resource manager writes which layer refused; the kernel's writes 0x000b0000. */
const TPM_BITS = 0xfff

function nameOf(rc: number): string | undefined {
  if ((rc & FORMAT_ONE_BIT) !== 0) return FORMAT_ONE[rc & 0x3f]
  return FORMAT_ZERO[rc]
}

/** Bit 6: a parameter, its number in bits 8 to 11. Else bit 11: a session, number in bits 8 to 10. Else a handle. */
function placeOf(rc: number): string | undefined {
  if ((rc & FORMAT_ONE_BIT) === 0) return undefined
  const what = (rc & 0x40) !== 0 ? 'parameter' : (rc & 0x800) !== 0 ? 'session' : 'handle'
  const number = (rc >> 8) & (what === 'parameter' ? 0xf : 0x7)
  return number === 0 ? undefined : `${what} ${number}`
}

/** The fault of a response code that is not success. */
export function refusalOf(command: string, rc: number): TpmRefusal {
  const low = rc & TPM_BITS
  const name = nameOf(low)
  const code = (name === undefined ? undefined : CODE_OF.get(name)) ?? 'tpm.refused'
  const at = placeOf(low)
  return {
    code,
    command,
    rc: `0x${rc.toString(16).padStart(3, '0')}`,
    name: name !== undefined ? `TPM_RC_${name}` : (low & VENDOR_BIT) !== 0 ? 'of its maker' : 'unknown',
    ...(at === undefined ? {} : { at }),
    ...(code === 'tpm.refused' ? {} : { hint: MEANINGS[code].hint }),
  }
}
