import { showRows } from './shown.ts'

showRows('rows-attacks').run()
