/** The one file that knows @noble/ciphers: audited AES and ChaCha without I/O. Rules about them stand in seal.ts and aes-gcm-12.ts. */
export { ctr, gcm } from '@noble/ciphers/aes.js'
export { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
