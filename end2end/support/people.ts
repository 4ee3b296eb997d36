// Who lives in the demo data: two workspaces, the second of which must never see the first.

export const password = "correct horse battery staple";

export type Person = { name: string; email: string };

export const person = {
  /** Owns Acme. */
  olivia: { name: "Olivia Owens", email: "olivia@acme.example" },
  /** Admin of Acme, and a member of Globex. */
  adam: { name: "Adam Archer", email: "adam@acme.example" },
  /** Member of Acme. */
  mia: { name: "Mia Moreno", email: "mia@acme.example" },
  /** Client of Acme. */
  cleo: { name: "Cleo Chen", email: "cleo@acme.example" },
  /** Owns Globex. */
  greta: { name: "Greta Gruber", email: "greta@globex.example" },
} satisfies Record<string, Person>;
