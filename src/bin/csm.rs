use csm_studio::{checkpoint::*, engine::*, mlx::*, prompt::*, sampling::*};
fn main(){
    let c=Checkpoint::demo().unwrap();
    let mut m=Csm::load(&c,Dtype::Float32).unwrap();
    let mimi=mimi::Mimi::load(&c).unwrap();
    let p=Prompt::new(&c,&[],0,"Hello there, how are you today?").unwrap();
    m.start(&p,&[]).unwrap();
    let s=Sampling::suggested(&c.generation,Mode::Native,1,Dtype::Float32,1027);
    let t=std::time::Instant::now(); let mut fr=vec![];
    for f in 0..100 { let st=m.step(&Request{frame:f,sampling:&s,forced:&[],observe:false}).unwrap(); if st.codes.iter().all(|c|*c==0){break} fr.push(st.codes); }
    println!("{} frames {:?}", fr.len(), t.elapsed());
    println!("{:?}", &fr[..3]);
    let t=std::time::Instant::now(); let a=mimi.decode(&mut mimi.stream(),&fr).unwrap(); println!("{:?} {}", t.elapsed(), a.len());
    let t=std::time::Instant::now(); let mut st=mimi.stream(); let mut b=vec![]; for f in &fr { b.extend(mimi.decode(&mut st,std::slice::from_ref(f)).unwrap()); } println!("{:?} maxdiff {:?}", t.elapsed(), a.iter().zip(&b).map(|(x,y)|(x-y).abs()).fold(0.,f32::max));
}
