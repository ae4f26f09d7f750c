/** A secret from the person at the terminal, which does not show it. */

/** A terminal's keys: process.stdin where it is one. */
export interface Keyboard {
  setRawMode(on: boolean): unknown
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown
  off(event: 'data', listener: (bytes: Uint8Array) => void): unknown
  resume(): unknown
  pause(): unknown
}

const ENTER = '\r\n'
/** Ctrl-U: from the beginning. */
const ERASE_ALL = '\u0015'
const ERASE = '\b\u007f'
/** Ctrl-C and Ctrl-D: raw mode makes no signals of them. */
const CANCEL = '\u0003\u0004'

/** The line that is typed, without its end; undefined where the person gives up. Nothing that is typed is written. */
export function askHidden(
  question: string,
  keyboard: Keyboard,
  write: (text: string) => void,
): Promise<string | undefined> {
  return new Promise(resolve => {
    // A letter may come in two pieces.
    const decoder = new TextDecoder()
    let typed: string[] = []
    const end = (answer: string | undefined) => {
      keyboard.off('data', hear)
      keyboard.setRawMode(false)
      keyboard.pause()
      write('\n')
      typed = []
      resolve(answer)
    }
    const hear = (bytes: Uint8Array) => {
      for (const letter of decoder.decode(bytes, { stream: true })) {
        if (ENTER.includes(letter)) return end(typed.join(''))
        if (CANCEL.includes(letter)) return end(undefined)
        if (letter === ERASE_ALL) typed = []
        else if (ERASE.includes(letter)) typed.pop()
        else typed.push(letter)
      }
    }
    write(question)
    keyboard.setRawMode(true)
    keyboard.on('data', hear)
    keyboard.resume()
  })
}
