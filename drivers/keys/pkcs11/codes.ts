/** Numbers of PKCS#11 v2.40 that we send or must tell apart, and of v3.0 for Edwards curves. From the OASIS headers. */

/** Places in CK_FUNCTION_LIST, counted from the first function. */
export const FUNCTION = {
  initialize: 0,
  finalize: 1,
  getSlotList: 4,
  getTokenInfo: 6,
  getMechanismList: 7,
  openSession: 12,
  closeSession: 13,
  closeAllSessions: 14,
  login: 18,
  getAttributeValue: 24,
  findObjectsInit: 26,
  findObjects: 27,
  findObjectsFinal: 28,
  signInit: 42,
  sign: 43,
  generateKeyPair: 59,
} as const

export const CKF_OS_LOCKING_OK = 2
export const CKF_SERIAL_SESSION = 4
export const CKF_RW_SESSION = 2
/** Of CK_TOKEN_INFO. */
export const CKF_LOGIN_REQUIRED = 1 << 2
export const CKF_TOKEN_INITIALIZED = 1 << 10
export const CKF_USER_PIN_COUNT_LOW = 1 << 16
export const CKF_USER_PIN_FINAL_TRY = 1 << 17
export const CKF_USER_PIN_LOCKED = 1 << 18

export const CKU_USER = 1

export const CKO_PUBLIC_KEY = 2
export const CKO_PRIVATE_KEY = 3
export const CKK_EC = 3
export const CKK_EC_EDWARDS = 0x40

export const CKA = {
  class: 0,
  token: 1,
  private: 2,
  label: 3,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  derive: 0x10c,
  extractable: 0x162,
  local: 0x163,
  neverExtractable: 0x164,
  alwaysSensitive: 0x165,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const

export const CKM_EC_KEY_PAIR_GEN = 0x1040
export const CKM_ECDSA = 0x1041
export const CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055
export const CKM_EDDSA = 0x1057

export const CKR_OK = 0
export const CKR_PIN_INCORRECT = 0xa0
export const CKR_PIN_LOCKED = 0xa4
export const CKR_USER_ALREADY_LOGGED_IN = 0x100
export const CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191

/** After these a session is worth nothing any more; a new one may work. */
const LOST: Readonly<Record<number, string>> = {
  48: 'CKR_DEVICE_ERROR',
  50: 'CKR_DEVICE_REMOVED',
  96: 'CKR_KEY_HANDLE_INVALID',
  130: 'CKR_OBJECT_HANDLE_INVALID',
  176: 'CKR_SESSION_CLOSED',
  179: 'CKR_SESSION_HANDLE_INVALID',
  224: 'CKR_TOKEN_NOT_PRESENT',
  257: 'CKR_USER_NOT_LOGGED_IN',
  400: 'CKR_CRYPTOKI_NOT_INITIALIZED',
}
export const isLost = (rv: number): boolean => rv in LOST

const NAMES: Readonly<Record<number, string>> = {
  ...LOST,
  2: 'CKR_HOST_MEMORY',
  3: 'CKR_SLOT_ID_INVALID',
  5: 'CKR_GENERAL_ERROR',
  6: 'CKR_FUNCTION_FAILED',
  7: 'CKR_ARGUMENTS_BAD',
  49: 'CKR_DEVICE_MEMORY',
  84: 'CKR_FUNCTION_NOT_SUPPORTED',
  104: 'CKR_KEY_FUNCTION_NOT_PERMITTED',
  112: 'CKR_MECHANISM_INVALID',
  161: 'CKR_PIN_INVALID',
  162: 'CKR_PIN_LEN_RANGE',
  163: 'CKR_PIN_EXPIRED',
  177: 'CKR_SESSION_COUNT',
  181: 'CKR_SESSION_READ_ONLY',
  208: 'CKR_TEMPLATE_INCOMPLETE',
  209: 'CKR_TEMPLATE_INCONSISTENT',
  226: 'CKR_TOKEN_WRITE_PROTECTED',
  258: 'CKR_USER_PIN_NOT_INITIALIZED',
}
export const nameOf = (rv: number): string => NAMES[rv] ?? `0x${rv.toString(16)}`
