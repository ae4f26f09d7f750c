/**
 * Signatures checked on other cores while a block is executed.
 *
 * A batch says yes to every question at once and has it checked on Node's pool of threads. The block is executed on its
 * word; `settle` then tells whether every yes was right. If so the execution stands, because with any other verifier it
 * would have been the same. If not, the block is executed again with a verifier that knows the answers: a liar costs one
 * more execution, and changes nothing. The verdicts are those of the plain verifier, which also decides about every
 * signature that OpenSSL refuses.
 *
 * Node's own pool and not workers: a question costs two microseconds to hand over, there is no thread of ours that could
 * die, and nothing to close.
 */
import { questionName } from '../../protocol/crypto/question.ts'
import type { Alg, Verifier } from '../../protocol/crypto/verify.ts'
import type { VerdictMemory, VerifyPool } from '../ports.ts'
import type { CachingVerifier } from './verifier.ts'

/**
 * Questions under way in one batch. Half a second of work for one core: enough that no core waits for this thread; what
 * comes beyond is answered on the spot, so that a huge block holds no more memory than this.
 */
const UNDER_WAY_MAX = 8192

type Question = readonly [alg: Alg, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array]

export function createVerifyPool(verifier: CachingVerifier, underWayMax: number = UNDER_WAY_MAX): VerifyPool {
  return {
    begin(memory?: VerdictMemory) {
      const answered: { readonly question: Question; readonly valid: boolean }[] = []
      let underWay = 0
      let allValid = true
      let wake = () => {}

      function ask(question: Question, name: string | undefined): void {
        underWay++
        verifier.verifyAside(...question, valid => {
          underWay--
          answered.push({ question, valid })
          if (!valid) allValid = false
          else if (name !== undefined) memory?.add(name)
          if (underWay === 0) wake()
        })
      }

      const hopeful: Verifier = {
        verify(...question) {
          const name = memory && questionName(...question)
          if (name !== undefined && memory?.has(name)) return true
          if (underWay >= underWayMax) return verifier.verify(...question)
          ask(question, name)
          return true
        },
      }

      return {
        hopeful,
        async settle() {
          if (underWay > 0) await new Promise<void>(resolve => (wake = resolve))
          if (allValid) return { allValid, known: verifier }
          // What has no name was never valid, and stands together under none.
          const verdicts = new Map(answered.map(({ question, valid }) => [questionName(...question), valid]))
          const known: Verifier = {
            verify(...question) {
              const name = questionName(...question)
              // A single liar does not have everything checked again that was known before.
              return verdicts.get(name) ?? ((name !== undefined && memory?.has(name)) || verifier.verify(...question))
            },
          }
          return { allValid, known }
        },
      }
    },
  }
}
