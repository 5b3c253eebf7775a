/** The email to a new tenant's admin. It holds no API key: email is not safe for secrets. */

export function welcomeEmail({ slug, name }: { slug: string; name: string }) {
  return {
    subject: `Welcome to Kennel, ${name}`,
    text: [
      `Hello ${name},`,
      '',
      `your tenant "${slug}" is ready, with a sample pet in it.`,
      'The operator who created it has received the API key of its first admin.',
      '',
      'Your Kennel',
      '',
    ].join('\n'),
  };
}
