/** RSA works on threads, in real time, while virtual time would run on: what is under way of it is counted and waited for. */
import { blindRsa } from '../../../drivers/crypto/blind-rsa.ts'
import { ok } from '../../../protocol/result.ts'

let working = 0

const counted =
  <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
  async (...args: A): Promise<R> => {
    working++
    try {
      return await work(...args)
    } finally {
      working--
    }
  }

export const countedRsa: typeof blindRsa = {
  ...blindRsa,
  createIssuer: counted(blindRsa.createIssuer),
  unblindMessage: counted(blindRsa.unblindMessage),
  blindMessage: counted(async (modulus: Uint8Array, message: Uint8Array) => {
    const blinded = await blindRsa.blindMessage(modulus, message)
    return blinded.ok ? ok({ ...blinded.value, unblind: counted(blinded.value.unblind) }) : blinded
  }),
}

/** Resolves once no thread works, and what waited for one has gone on. */
export async function threadsRest(): Promise<void> {
  do await new Promise(resolve => setTimeout(resolve, 5))
  while (working > 0)
}
