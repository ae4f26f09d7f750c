/** Every response code of TPM 2.0 Library Part 2, table 16 and 17 (revision 1.59), as what it comes to. */
import { refusalOf } from '../../../protocol/tpm/response-code.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('tpm response codes')

/** The number as the standard adds it up, its name, and the fault; `refused` where there is nothing a person could do. */
const VER1 = 0x100
const FMT1 = 0x080
const WARN = 0x900
const CODES: readonly (readonly [rc: number, name: string, code: string])[] = [
  [0x01e, 'BAD_TAG', 'refused'],
  [VER1 + 0x00, 'INITIALIZE', 'not-started'],
  [VER1 + 0x01, 'FAILURE', 'broken'],
  [VER1 + 0x03, 'SEQUENCE', 'refused'],
  [VER1 + 0x0b, 'PRIVATE', 'refused'],
  [VER1 + 0x19, 'HMAC', 'refused'],
  [VER1 + 0x20, 'DISABLED', 'disabled'],
  [VER1 + 0x21, 'EXCLUSIVE', 'refused'],
  [VER1 + 0x24, 'AUTH_TYPE', 'auth'],
  [VER1 + 0x25, 'AUTH_MISSING', 'auth'],
  [VER1 + 0x26, 'POLICY', 'refused'],
  [VER1 + 0x27, 'PCR', 'refused'],
  [VER1 + 0x28, 'PCR_CHANGED', 'refused'],
  [VER1 + 0x2d, 'UPGRADE', 'restart-needed'],
  [VER1 + 0x2e, 'TOO_MANY_CONTEXTS', 'full'],
  [VER1 + 0x2f, 'AUTH_UNAVAILABLE', 'auth'],
  [VER1 + 0x30, 'REBOOT', 'restart-needed'],
  [VER1 + 0x31, 'UNBALANCED', 'refused'],
  [VER1 + 0x42, 'COMMAND_SIZE', 'refused'],
  [VER1 + 0x43, 'COMMAND_CODE', 'unsupported'],
  [VER1 + 0x44, 'AUTHSIZE', 'refused'],
  [VER1 + 0x45, 'AUTH_CONTEXT', 'refused'],
  [VER1 + 0x46, 'NV_RANGE', 'refused'],
  [VER1 + 0x47, 'NV_SIZE', 'refused'],
  [VER1 + 0x48, 'NV_LOCKED', 'refused'],
  [VER1 + 0x49, 'NV_AUTHORIZATION', 'refused'],
  [VER1 + 0x4a, 'NV_UNINITIALIZED', 'refused'],
  [VER1 + 0x4b, 'NV_SPACE', 'full'],
  [VER1 + 0x4c, 'NV_DEFINED', 'handle-taken'],
  [VER1 + 0x50, 'BAD_CONTEXT', 'refused'],
  [VER1 + 0x51, 'CPHASH', 'refused'],
  [VER1 + 0x52, 'PARENT', 'refused'],
  [VER1 + 0x53, 'NEEDS_TEST', 'broken'],
  [VER1 + 0x54, 'NO_RESULT', 'refused'],
  [VER1 + 0x55, 'SENSITIVE', 'refused'],
  [FMT1 + 0x01, 'ASYMMETRIC', 'unsupported'],
  [FMT1 + 0x02, 'ATTRIBUTES', 'refused'],
  [FMT1 + 0x03, 'HASH', 'unsupported'],
  [FMT1 + 0x04, 'VALUE', 'refused'],
  [FMT1 + 0x05, 'HIERARCHY', 'disabled'],
  [FMT1 + 0x07, 'KEY_SIZE', 'unsupported'],
  [FMT1 + 0x08, 'MGF', 'refused'],
  [FMT1 + 0x09, 'MODE', 'unsupported'],
  [FMT1 + 0x0a, 'TYPE', 'refused'],
  [FMT1 + 0x0b, 'HANDLE', 'no-handle'],
  [FMT1 + 0x0c, 'KDF', 'unsupported'],
  [FMT1 + 0x0d, 'RANGE', 'refused'],
  [FMT1 + 0x0e, 'AUTH_FAIL', 'auth'],
  [FMT1 + 0x0f, 'NONCE', 'refused'],
  [FMT1 + 0x10, 'PP', 'refused'],
  [FMT1 + 0x12, 'SCHEME', 'unsupported'],
  [FMT1 + 0x15, 'SIZE', 'refused'],
  [FMT1 + 0x16, 'SYMMETRIC', 'unsupported'],
  [FMT1 + 0x17, 'TAG', 'refused'],
  [FMT1 + 0x18, 'SELECTOR', 'refused'],
  [FMT1 + 0x1a, 'INSUFFICIENT', 'refused'],
  [FMT1 + 0x1b, 'SIGNATURE', 'refused'],
  [FMT1 + 0x1c, 'KEY', 'refused'],
  [FMT1 + 0x1d, 'POLICY_FAIL', 'refused'],
  [FMT1 + 0x1f, 'INTEGRITY', 'refused'],
  [FMT1 + 0x20, 'TICKET', 'refused'],
  [FMT1 + 0x21, 'RESERVED_BITS', 'refused'],
  [FMT1 + 0x22, 'BAD_AUTH', 'auth'],
  [FMT1 + 0x23, 'EXPIRED', 'refused'],
  [FMT1 + 0x24, 'POLICY_CC', 'refused'],
  [FMT1 + 0x25, 'BINDING', 'refused'],
  [FMT1 + 0x26, 'CURVE', 'unsupported'],
  [FMT1 + 0x27, 'ECC_POINT', 'refused'],
  [WARN + 0x01, 'CONTEXT_GAP', 'full'],
  [WARN + 0x02, 'OBJECT_MEMORY', 'full'],
  [WARN + 0x03, 'SESSION_MEMORY', 'full'],
  [WARN + 0x04, 'MEMORY', 'full'],
  [WARN + 0x05, 'SESSION_HANDLES', 'full'],
  [WARN + 0x06, 'OBJECT_HANDLES', 'full'],
  [WARN + 0x07, 'LOCALITY', 'refused'],
  [WARN + 0x08, 'YIELDED', 'busy'],
  [WARN + 0x09, 'CANCELED', 'refused'],
  [WARN + 0x0a, 'TESTING', 'busy'],
  ...[0, 1, 2, 3, 4, 5, 6].map(n => [WARN + 0x10 + n, `REFERENCE_H${n}`, 'no-handle'] as const),
  ...[0, 1, 2, 3, 4, 5, 6].map(n => [WARN + 0x18 + n, `REFERENCE_S${n}`, 'no-handle'] as const),
  [WARN + 0x20, 'NV_RATE', 'busy'],
  [WARN + 0x21, 'LOCKOUT', 'lockout'],
  [WARN + 0x22, 'RETRY', 'busy'],
  [WARN + 0x23, 'NV_UNAVAILABLE', 'busy'],
]

test('each code of the table has its name and its fault, and what can be done is said', () => {
  for (const [rc, name, code] of CODES) {
    const fault = refusalOf('Sign', rc)
    assert.equal([fault.name, fault.code], [`TPM_RC_${name}`, `tpm.${code}`], `0x${rc.toString(16)}`)
    assert.is(fault.hint === undefined, code === 'refused', name)
  }
})

test('parameter, session and handle are told by their bits', () => {
  // TPM_RC_P 040, TPM_RC_S 800; the number stands in bits 8 and up.
  for (const [rc, name, at] of [
    [0x98e, 'AUTH_FAIL', 'session 1'],
    [0xa8e, 'AUTH_FAIL', 'session 2'],
    [0x18b, 'HANDLE', 'handle 1'],
    [0x28b, 'HANDLE', 'handle 2'],
    [0x1d5, 'SIZE', 'parameter 1'],
    [0xfc4, 'VALUE', 'parameter 15'],
    [0x085, 'HIERARCHY', undefined],
    [0x922, 'RETRY', undefined],
  ] as const) {
    const fault = refusalOf('Load', rc)
    assert.equal([fault.name, fault.at, fault.rc], [`TPM_RC_${name}`, at, `0x${rc.toString(16).padStart(3, '0')}`])
  }
})

test("the kernel's own refusals, a maker's codes and unknown ones are told apart", () => {
  // TSS2_RESMGR_TPM_RC_LAYER (11 << 16) with TPM_RC_COMMAND_CODE: what /dev/tpmrm0 says of a command it does not know.
  assert.equal([refusalOf('X', 0xb0143).code, refusalOf('X', 0xb0143).rc], ['tpm.unsupported', '0xb0143'])
  assert.is(refusalOf('X', 0x501).name, 'of its maker')
  for (const rc of [0x086, 0x102, 0x97f, 0x001, 0xffff_ffff, 0x0bf]) {
    assert.equal([refusalOf('X', rc).code, refusalOf('X', rc).name.startsWith('TPM_RC_')], ['tpm.refused', false])
  }
})

test('every twelve-bit code has a fault', () => {
  for (let rc = 1; rc < 0x1000; rc++) assert.match(refusalOf('X', rc).code, /^tpm\.[a-z-]+$/)
})

test.run()
