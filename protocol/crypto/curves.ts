/** The one file that knows @noble/curves: audited arithmetic of the three curves in use. Rules about it stand in verify.ts and seal.ts. */
export { ed25519, x25519 } from '@noble/curves/ed25519.js'
export { p256 } from '@noble/curves/nist.js'
