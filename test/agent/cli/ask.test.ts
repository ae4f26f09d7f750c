import { askHidden } from '../../../agent/cli/keys/ask.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('a secret at the terminal')

test('what a person types is not shown, may be corrected and given up', async () => {
  const type = async (...pieces: (string | Uint8Array)[]) => {
    let written = ''
    const modes: boolean[] = []
    const listeners = new Set<(bytes: Uint8Array) => void>()
    const keyboard = {
      setRawMode: (on: boolean) => modes.push(on),
      on: (_: 'data', listener: (bytes: Uint8Array) => void) => listeners.add(listener),
      off: (_: 'data', listener: (bytes: Uint8Array) => void) => listeners.delete(listener),
      resume: () => {},
      pause: () => {},
    }
    const answer = askHidden('Passphrase: ', keyboard, text => {
      written += text
    })
    for (const piece of pieces)
      for (const listener of listeners) listener(typeof piece === 'string' ? Buffer.from(piece) : piece)
    const typed = await answer
    assert.is(written, 'Passphrase: \n')
    assert.equal(modes, [true, false])
    assert.is(listeners.size, 0)
    return typed
  }
  assert.is(await type('secret\r'), 'secret')
  assert.is(await type('s', 'ex\u007fcret', '\n'), 'secret')
  // Grüße, its ü in two pieces.
  assert.is(await type('Gr', Uint8Array.of(0xc3), Uint8Array.of(0xbc), 'ße\r'), 'Grüße')
  assert.is(await type('secrte\u0015secret\r'), 'secret')
  assert.is(await type('sec\u0003'), undefined)
  assert.is(await type('\u007f\u007f\r'), '')
})

test.run()
